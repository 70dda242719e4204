// Holds the rooms of the house: imports point to a lower level, never sideways, and each outside library lives in one room.
// The levels are those of docs/architecture.md. Above level 4 the rooms of level 4 are imported for types only: app.ts hands in the instances.
const levels = {
  0: ['base'],
  1: ['sse'],
  2: ['dialects'],
  3: ['context'],
  4: ['upstream', 'lmcache', 'store', 'sessions', 'sim'],
  5: ['windows'],
  6: ['proxy', 'api', 'config', 'doctor', 'mcp', 'dashboard'],
}
const rooms = Object.values(levels).flat()
const inRooms = (names) => `^src/(${names.join('|')})/`
const below = (level) =>
  Object.entries(levels)
    .filter(([l]) => Number(l) < level)
    .flatMap(([, names]) => names)

const directions = Object.entries(levels).flatMap(([level, names]) =>
  names.map((room) => ({
    name: `room-${room}`,
    comment: `src/${room} is on level ${level}: it may import itself and lower levels only`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: { path: '^src/', pathNot: inRooms([room, ...below(Number(level))]) },
  })),
)

const onlyIn = (name, library, allowed) => ({
  name: `library-${name}`,
  comment: `${name} is imported in one room only`,
  severity: 'error',
  from: { path: '^src/', pathNot: allowed },
  to: { path: `node_modules/${library}/` },
})

module.exports = {
  forbidden: [
    ...directions,
    {
      name: 'cli-is-the-top',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    { name: 'app-is-for-the-cli', severity: 'error', from: { path: inRooms(rooms) }, to: { path: '^src/app' } },
    {
      name: 'no-tests-in-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.test\\.ts$|/contract/' },
      to: { path: '\\.test\\.ts$|/contract/|^test/' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: ['\\.test\\.ts$', '/contract/', '^src/cli/main\\.ts$'] },
      to: {},
    },
    {
      name: 'types-only-from-level-4',
      comment: 'levels 5 and 6 name the types of level 4; app.ts hands in the instances',
      severity: 'error',
      from: { path: inRooms([...levels[5], ...levels[6]]), pathNot: '\\.test\\.ts$' },
      to: { path: inRooms(levels[4]), dependencyTypesNot: ['type-only'] },
    },
    onlyIn('undici', 'undici', '^src/upstream/'),
    onlyIn('libsql', 'libsql', '^src/store/(sqlite|data-dir-lock)'),
    onlyIn('ioredis', 'ioredis', '^src/store/redis'),
    onlyIn('hono', '(hono|@hono)', '^src/(api/|dashboard/|app\\.ts)'),
    onlyIn('pino', 'pino', '^src/base/logger'),
    onlyIn('prom-client', 'prom-client', '^src/base/metrics'),
    onlyIn('commander', 'commander', '^src/cli/'),
    onlyIn('gpt-tokenizer', 'gpt-tokenizer', '^src/sim/'),
    onlyIn('mcp', '@modelcontextprotocol', '^src/mcp/'),
    onlyIn('yaml', 'yaml', '^src/config/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js'],
    },
  },
}
