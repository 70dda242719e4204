import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { readOptions } from './options.mjs'

const known = {
  scenarios: [{ name: '4k-1' }, { name: '4k-32' }],
  targets: [{ name: 'direct' }, { name: 'bare' }],
  peers: [{ name: 'portkey' }],
}
const read = (...args) => readOptions(args, known)

it('measures all but the peers for five rounds of two seconds unless told', () => {
  expect(read()).toMatchObject({ ...known, faults: [], peers: [], rounds: 5, countMs: 2_000, pins: true, force: false })
})

it('takes what it is told', () => {
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
    faults: [],
    rounds: 1,
    countMs: 200,
    scenarios: [{ name: '4k-32' }],
    pins: false,
    json,
  })
  expect(options.peers).toEqual(known.peers)
})

it.each([
  [['--only', '4k-2'], '--only: no "4k-2"; there are 4k-1, 4k-32'],
  [['--targets', 'bare,'], '--targets: no ""; there are direct, bare'],
  [['--peers', 'kong'], '--peers: no "kong"; there are portkey'],
  [['--rounds', '1.5'], '--rounds: a whole number from 1 to 100'],
  [['--rounds', '0'], '--rounds: a whole number from 1 to 100'],
  [['--seconds', 'soon'], '--seconds: above 0, 600 at most'],
  [['--seconds', 'Infinity'], '--seconds: above 0, 600 at most'],
  [['--json', '/no/such/folder/bench.json'], '--json: no folder for /no/such/folder/bench.json'],
  [['--markdown', 'package.json'], '--markdown: no page package.json with <!-- bench --> and <!-- /bench -->'],
])('refuses %j in words', (args, words) => {
  expect(read(...args).faults).toEqual([words])
})

it('refuses what it does not know', () => {
  expect(read('--fast').faults).toEqual([expect.stringContaining('--fast')])
  expect(read('--json').faults).toEqual([expect.stringContaining('--json')])
})

it('tells of all faults together', () => {
  expect(read('--rounds', 'x', '--seconds', '0').faults).toHaveLength(2)
})
