import { describe, expect, it } from 'vitest'
import { exitCodeOf, judge } from './aims.mjs'
import { Results } from './results.mjs'

const MB = 1e6
const second = { ms: 1000, failed: 0, timed: 1000, p50: 1, p99: 2, ttftP50: 1, ttftP99: 2 }
const cell = (scenario, target, round, rest) => ({
  ...{ scenario, target, round, answers: 1000, ...second, cpuUs: { proxy: 100_000, upstream: 300_000, load: 400_000 } },
  ...rest,
})
/** Two targets in two rounds, the second of which was twice as slow for both. */
const twoRounds = (named) => [
  cell('4k-32', 'parse', 1),
  cell('4k-32', 'cwm-named', 1, { cpuUs: { proxy: 100_000 * named } }),
  cell('4k-32', 'parse', 2, { cpuUs: { proxy: 200_000 } }),
  cell('4k-32', 'cwm-named', 2, { cpuUs: { proxy: 200_000 * named } }),
]
const aimOf = (results, title) => judge(results).find((aim) => aim.title === title)
const cpuAim = 'CPU per request, 4k-32, cwm-named, to parse'

describe('an aim', () => {
  it('is judged by the ratio within each round', () => {
    expect(aimOf(new Results(twoRounds(1.4), {}), cpuAim)).toMatchObject({ value: 1.4, isReached: true })
    expect(aimOf(new Results(twoRounds(1.6), {}), cpuAim)).toMatchObject({ value: 1.6, isReached: false })
  })

  it('is open when a side of it was not measured', () => {
    const results = new Results([cell('4k-32', 'cwm-named', 1)], {})

    expect(aimOf(results, cpuAim)).toMatchObject({ value: undefined, isReached: undefined })
  })

  it('holds the memory after the run against 200 MB', () => {
    const memory = { 'cwm-named': { bytes: 199 * MB, peakBytes: 300 * MB }, 'cwm-prefix': { bytes: 201 * MB } }
    const results = new Results([], memory)

    expect(aimOf(results, 'memory after the run, cwm-named, MB')?.isReached).toBe(true)
    expect(aimOf(results, 'memory after the run, cwm-prefix, MB')?.isReached).toBe(false)
  })

  it('is no p99 of fewer than a hundred answers', () => {
    const streams = (timed) =>
      new Results(
        ['bare', 'cwm-named'].map((target) => cell('paced-64', target, 1, { timed })),
        {},
      )
    const title = 'TTFT p99, paced-64, cwm-named, to bare'

    expect(aimOf(streams(99), title)?.value).toBeUndefined()
    expect(aimOf(streams(100), title)?.value).toBe(1)
  })
})

describe('--check', () => {
  const ends = (named, check = true) => {
    const results = new Results(twoRounds(named), {})
    return exitCodeOf({ judged: judge(results), failed: results.failed, check })
  }

  it('fails when an aim is missed, and only when it was asked to', () => {
    expect(ends(1.6)).toBe(1)
    expect(ends(1.6, false)).toBe(0)
    expect(ends(1.4)).toBe(0)
  })

  it('fails when nothing was measured', () => {
    expect(exitCodeOf({ judged: judge(new Results([], {})), failed: 0, check: true })).toBe(1)
  })
})

it('fails a run in which a request failed, checked or not', () => {
  const results = new Results([cell('4k-32', 'bare', 1, { failed: 1 })], {})

  expect(exitCodeOf({ judged: [], failed: results.failed, check: false })).toBe(1)
})
