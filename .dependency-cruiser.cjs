// Holds the rooms of the house: imports point to a lower level, never sideways, and each outside library lives in one room.
// The levels are those of docs/architecture.md.
const levels = {
  0: ['base'],
  1: ['sse'],
  2: ['dialects'],
  3: ['limits', 'identity', 'wire', 'plan'],
  4: ['engines', 'kv', 'store', 'sim', 'tracing'],
  5: ['tenants', 'journal', 'ledger', 'rate-limits'],
  6: ['sessions', 'admission'],
  7: ['windows'],
  8: ['near-limit', 'prefix-break', 'passages', 'libraries'],
  9: ['turn'],
  10: ['ask'],
  11: ['ask-chat', 'server', 'proxy', 'api', 'mcp', 'dashboard', 'docs-site', 'doctor', 'config'],
  12: ['compose'],
  13: ['cli'],
}
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
      name: 'no-tests-in-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.test\\.ts$' },
      to: { path: '\\.test\\.ts$|^test/' },
    },
    {
      name: 'kv-port',
      comment:
        'the KV port is all that others know of a KV layer; the doctor examines LMCache itself, and compose chooses the backend',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(kv|doctor|compose)/', '\\.test\\.ts$'] },
      to: { path: '^src/kv/[^/]+/' },
    },
    {
      name: 'kv-port-knows-no-backend',
      comment: 'a backend depends on the port, never the other way',
      severity: 'error',
      from: { path: '^src/kv/[^/]+\\.ts$', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/kv/[^/]+/' },
    },
    {
      name: 'engine-port',
      comment: 'the engine port is all that others know of an engine; compose chooses the implementation',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(engines|compose)/', '\\.test\\.ts$'] },
      to: { path: '^src/engines/[^/]+/' },
    },
    {
      name: 'engine-port-knows-no-engine',
      comment: 'an engine depends on the port, never the other way',
      severity: 'error',
      from: { path: '^src/engines/[^/]+\\.ts$', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/engines/[^/]+/' },
    },
    {
      name: 'engine-transport',
      comment: 'connections and the breaker are behind the engine port; headers are what goes over it',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(engines|compose)/', '\\.test\\.ts$'] },
      to: { path: '^src/engines/(upstream|guarded-upstream|breaker|failures|json)\\.ts$' },
    },
    {
      name: 'tracing-on-demand',
      comment: 'OpenTelemetry is loaded only where tracing is configured (decision 30)',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/tracing/', '\\.test\\.ts$'] },
      to: { path: '^src/tracing/', dynamic: false, dependencyTypesNot: ['type-only'] },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: ['\\.test\\.ts$', '^src/cli/main\\.ts$'] },
      to: {},
    },
    onlyIn('undici', 'undici', '^src/engines/'),
    onlyIn('libsql', 'libsql', '^src/store/sqlite/'),
    onlyIn('ioredis', 'ioredis', '^src/store/redis/'),
    onlyIn('hono', '(hono|@hono)', '^src/(api|ask-chat|dashboard|docs-site|compose)/'),
    onlyIn('pino', 'pino', '^src/base/logger'),
    onlyIn('prom-client', 'prom-client', '^src/base/metrics'),
    onlyIn('commander', 'commander', '^src/cli/'),
    onlyIn('gpt-tokenizer', 'gpt-tokenizer', '^src/sim/'),
    onlyIn('mcp', '@modelcontextprotocol', '^src/mcp/'),
    onlyIn('yaml', 'yaml', '^src/config/'),
    onlyIn('opentelemetry', '@opentelemetry', '^src/tracing/'),
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
