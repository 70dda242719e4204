import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { readOptions } from './options.mjs'

const known = {
  scenarios: [{ name: '4k-1' }, { name: '4k-32' }],
  targets: [{ name: 'direct' }, { name: 'bare' }],
  peers: [{ name: 'portkey' }],
}
const read = (...args) => readOptions(args, known)

it('measures everything except peers for five rounds of two seconds by default', () => {
  expect(read()).toMatchObject({ ...known, errors: [], peers: [], rounds: 5, countMs: 2_000, pins: true, force: false })
})

it('accepts valid options', () => {
  const json = `${tmpdir()}/bench.json`
  const options = read(
    '--quick',
    '--seconds',
    '0.2',
    '--only',
    '4k-32',
    '--peers',
    'portkey',
    '--no-pin',
    '--json',
    json,
  )

  expect(options).toMatchObject({
    errors: [],
    rounds: 1,
    countMs: 200,
    scenarios: [{ name: '4k-32' }],
    pins: false,
    json,
  })
  expect(options.peers).toEqual(known.peers)
})

it.each([
  [['--only', '4k-2'], '--only: unknown "4k-2"; known: 4k-1, 4k-32'],
  [['--targets', 'bare,'], '--targets: unknown ""; known: direct, bare'],
  [['--peers', 'kong'], '--peers: unknown "kong"; known: portkey'],
  [['--rounds', '1.5'], '--rounds: "1.5" must be a whole number from 1 to 100'],
  [['--rounds', '0'], '--rounds: "0" must be a whole number from 1 to 100'],
  [['--seconds', 'soon'], '--seconds: "soon" must be above 0 and at most 600'],
  [['--seconds', 'Infinity'], '--seconds: "Infinity" must be above 0 and at most 600'],
  [['--tenants', '0'], '--tenants: "0" must be a whole number from 1 to 10000'],
  [['--flush-ms', '0'], '--flush-ms: "0" must be a whole number from 1 to 10000'],
  [['--flush-ms', 'slow'], '--flush-ms: "slow" must be a whole number from 1 to 10000'],
  [['--json', '/no/such/folder/bench.json'], '--json: the folder of /no/such/folder/bench.json does not exist'],
  [
    ['--markdown', 'package.json'],
    '--markdown: package.json must exist and contain <!-- bench --> and <!-- /bench -->',
  ],
])('rejects %j with a message', (args, message) => {
  expect(read(...args).errors).toEqual([message])
})

it('has other marks in a page for runs with slowed flushes', () => {
  expect(read('--flush-ms', '50')).toMatchObject({ errors: [], flushMs: 50 })
  expect(read('--flush-ms', '50', '--markdown', 'package.json').errors).toEqual([
    '--markdown: package.json must exist and contain <!-- bench flush --> and <!-- /bench flush -->',
  ])
})

it('finds both pairs of marks in the page of the project', () => {
  expect(read('--markdown', 'docs/performance.md').errors).toEqual([])
  expect(read('--markdown', 'docs/performance.md', '--flush-ms', '50').errors).toEqual([])
})

it('rejects an unknown option', () => {
  expect(read('--fast').errors).toEqual([expect.stringContaining('--fast')])
  expect(read('--json').errors).toEqual([expect.stringContaining('--json')])
})

it('reports all errors together', () => {
  expect(read('--rounds', 'x', '--seconds', '0').errors).toHaveLength(2)
})
