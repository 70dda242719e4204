import { expect, it } from 'vitest'
import { reportOf } from './report.mjs'
import { Results } from './results.mjs'
import { scenarios } from './scenarios.mjs'
import { markdown } from './table.mjs'

const cell = (target, { answers, timed = 500, upstream, load, proxy }) => ({
  ...{ scenario: '4k-32', target, round: 1, ms: 1000, failed: 0, answers, timed, p50: 1, p99: 77 },
  cpuUs: { upstream: upstream * 1e6, load: load * 1e6, proxy: proxy && proxy * 1e6 },
})
const run = {
  results: new Results(
    [
      cell('direct', { answers: 9000, upstream: 0.6, load: 0.4 }),
      cell('bare', { answers: 4000, upstream: 0.2, load: 0.3, proxy: 1 }),
      cell('slow', { answers: 40, timed: 40, upstream: 0.01, load: 0.02, proxy: 1 }),
    ],
    { bare: { bytes: 80e6, peakBytes: 90e6 } },
  ),
  judged: [{ title: 'an aim', bound: 'at most 1', value: 2, low: 1.5, high: 3, verdict: 'missed' }],
  machine: { cpu: 'a CPU', cores: 2, node: 'v20', pinned: { proxy: 1, upstream: 0, load: 0 } },
  scenarios: scenarios.filter(({ name }) => name === '4k-32'),
  targets: [
    { name: 'direct', title: 'direct' },
    ...['bare', 'slow'].map((name) => ({ name, title: name, start() {} })),
  ],
}
const lineOf = (title) =>
  markdown(run)
    .split('\n')
    .find((line) => line.startsWith(`| ${title} |`))

it('marks only the cells that the mock upstream or the load client may have limited', () => {
  expect(lineOf('direct')).toContain('| 9000¹ |')
  expect(lineOf('bare')).toContain('| 4000 |')
})

it('shows no p99 of few answers', () => {
  expect(lineOf('bare')).toContain('77.00')
  expect(lineOf('slow')).not.toContain('77.00')
})

it('reports the core shares of mock upstream and load client for the fastest target and the fastest proxy', () => {
  expect(markdown(run)).toContain(
    'Fastest: with direct the mock upstream had 60% of its core, the load client 40%; with bare the mock upstream had 20% of its core, the load client 30%.',
  )
  expect(reportOf(run).fastest['4k-32']).toEqual({
    all: { target: 'direct', upstreamShare: 0.6, loadShare: 0.4 },
    proxy: { target: 'bare', upstreamShare: 0.2, loadShare: 0.3 },
  })
})

it('prints what first turns left on the disk, and then no empty tables', () => {
  const disk = { slow: { turns: 100_000, bytes: 12_340_000 } }
  const text = markdown({ ...run, results: new Results([], {}, disk), scenarios: [scenarios.at(-1)] })

  expect(text).toContain('| slow | 100000 | 12.3 | 123 |')
  expect(text).not.toMatch(/memory|¹/)
  expect(markdown(run)).not.toContain('disk')
})

it('says that flushes were slowed, and how many', () => {
  const slowed = { ...run, machine: { ...run.machine, flushMs: 50 }, flushes: { 'cwm-named': 12, 'cwm-first': 7 } }

  expect(markdown(slowed)).toContain(
    '**Each flush of cwm was made to take 50 ms longer (`--flush-ms`)**: 12 of cwm-named, 7 of cwm-first.',
  )
  expect(markdown(run)).not.toContain('flush')
  expect(reportOf(slowed)).toMatchObject({ machine: { flushMs: 50 }, flushes: { 'cwm-named': 12 } })
})

it('prints memory after the run, and each aim with its verdict', () => {
  expect(markdown(run)).toContain('| bare | 90 | 80 |')
  expect(markdown(run)).toContain('| an aim | at most 1 | 2.00 | 1.50 to 3.00 | **missed** |')
})
