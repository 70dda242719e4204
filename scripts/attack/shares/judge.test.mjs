import { describe, expect, it } from 'vitest'
import { attacks } from './attacks.mjs'
import { isGood, judge, quantile } from './judge.mjs'
import { readOptions } from './options.mjs'
import { tableOf } from './table.mjs'

const MIB = 1024 * 1024

const metrics = ({ open = 0, files = 20 } = {}) =>
  [
    `cwm_requests_in_flight ${open}`,
    'cwm_body_bytes 0',
    'cwm_slots_in_use 0',
    'cwm_requests_queued 0',
    `process_open_fds ${files}`,
  ].join('\n')

/** What the honest tenant saw: a hundred turns that took this long. */
const turns = (latency, failureCount = 0) => ({
  latencies: Array.from({ length: 100 }, () => latency),
  requests: 120,
  failures: [],
  failureCount,
})

/** An attack without any effect. Its limit is 10 times 10 ms, plus 200 ms. */
const harmless = {
  attack: { name: 'puts', row: 1, what: 'parallel puts', mostAtOnce: 1 },
  quiet: turns(10),
  attacked: turns(299),
  after: turns(40),
  check: { lost: [], failureCount: 0 },
  most: 1,
  memory: { peakBytes: 511 * MIB },
  metrics: { before: metrics(), after: metrics({ files: 28 }) },
  isAlive: true,
}

const failing = (change) =>
  Object.entries(judge({ ...harmless, ...change }))
    .filter(([, cell]) => !cell.isGood)
    .map(([name, { text }]) => [name, text])

describe('the judge of an attack on shares', () => {
  it('passes an attack without effect', () => {
    const cells = judge(harmless)

    expect(isGood(cells)).toBe(true)
    expect(Object.fromEntries(Object.entries(cells).map(([name, { text }]) => [name, text]))).toEqual({
      quiet: '10 ms',
      p99: '299 ms of 300 ms',
      failed: '0 of 120',
      kept: 'all',
      engine: '1 at once of 1',
      memory: '511 MiB',
      after: 'as before',
    })
  })

  it.each([
    ['slow turns', { attacked: turns(300) }, ['p99', '300 ms of 300 ms']],
    ['no turn at all', { attacked: { ...turns(0), latencies: [] } }, ['p99', 'no turn of 300 ms']],
    ['a failed request', { attacked: turns(10, 1) }, ['failed', '1 of 120']],
    [
      'lost entries',
      { check: { lost: ['3 of 15 audit entries'], failureCount: 0 } },
      ['kept', 'lost: 3 of 15 audit entries'],
    ],
    ['more calls than allowed', { most: 2 }, ['engine', '2 at once of 1']],
    ['too much memory', { memory: { peakBytes: 512 * MIB } }, ['memory', '512 MiB']],
    ['slow turns after it', { after: turns(41) }, ['after', 'median 41 ms']],
    ['failures after it', { after: turns(10, 2) }, ['after', '2 failed']],
    ['failures of the last checks', { check: { lost: [], failureCount: 1 } }, ['after', '1 failed']],
    [
      'requests that never end',
      { metrics: { before: metrics(), after: metrics({ open: 1 }) } },
      ['after', 'cwm_requests_in_flight is 1 at the end'],
    ],
    [
      'sockets that stay open',
      { metrics: { before: metrics(), after: metrics({ files: 29 }) } },
      ['after', '9 more open files than at the start, 8 are allowed'],
    ],
  ])('finds %s', (_, change, cell) => {
    expect(failing(change)).toEqual([cell])
  })

  it('finds that cwm ended', () => {
    expect(failing({ isAlive: false, metrics: { before: metrics(), after: '' } })).toEqual([
      ['memory', 'cwm ended'],
      ['after', 'cwm ended'],
    ])
  })

  it('has no cell for the engine where an attack does not reach it', () => {
    expect(judge({ ...harmless, attack: { row: 2, what: 'deletes' }, most: 7 }).engine).toEqual({
      isGood: true,
      text: '–',
    })
  })

  it('takes quantiles of few values', () => {
    expect(quantile([1, 2, 3], 0.5)).toBe(2)
    expect(quantile([1, 2, 3], 0.99)).toBe(3)
  })
})

describe('the table', () => {
  it('has a line for each attack, with what failed in bold', () => {
    const cells = judge({ ...harmless, attacked: turns(10, 1) })

    const [head, rule, line, ...more] = tableOf([{ attack: harmless.attack, cells }]).split('\n')

    expect(more).toEqual([])
    expect(head.split('|')).toHaveLength(rule.split('|').length)
    expect(line).toBe(
      '| 1 | parallel puts | 10 ms | 10 ms of 300 ms | **FAIL** 1 of 120 | all | 1 at once of 1 | 511 MiB | as before | **FAIL** |',
    )
  })
})

it('has attacks for rows 1 to 5 under names of their own', () => {
  expect(new Set(attacks.map(({ row }) => row))).toEqual(new Set([1, 2, 3, 4, 5]))
  expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length)
})

it('reports each invalid option in a line', () => {
  expect(readOptions(['--seconds', '0', '--attack', 'x']).errors).toEqual([
    '--seconds: a whole number from 1 to 3600',
    `--attack: one of ${attacks.map(({ name }) => name).join(', ')}`,
  ])
})
