import { describe, expect, it } from 'vitest'
import { aimsFor, exitCodeOf, judge } from './aims.mjs'
import { Results } from './results.mjs'

const MB = 1e6
const second = { ms: 1000, failed: 0, timed: 1000, p50: 1, p99: 2, ttftP50: 1, ttftP99: 2 }
const cell = (scenario, target, round, rest) => ({
  ...{ scenario, target, round, answers: 1000, ...second, cpuUs: { proxy: 100_000, upstream: 300_000, load: 400_000 } },
  ...rest,
})
/** Two targets with one round per ratio. Later rounds are slower for both. */
const rounds = (ratios) =>
  ratios.flatMap((ratio, n) => [
    cell('4k-32', 'parse', n + 1, { cpuUs: { proxy: 100_000 * (n + 1) } }),
    cell('4k-32', 'cwm-named', n + 1, { cpuUs: { proxy: 100_000 * (n + 1) * ratio } }),
  ])
const aimOf = (results, title) => judge(results).find((aim) => aim.title === title)
const cpuAim = 'CPU per request, 4k-32, cwm-named, to parse'
const cpuVerdict = (ratios) => aimOf(new Results(rounds(ratios), {}), cpuAim)

describe('an aim', () => {
  it('is reached if the ratios of all five rounds are within its bound', () => {
    expect(cpuVerdict([1.3, 1.5, 1.2, 1.4, 1.25])).toEqual({
      ...{ title: cpuAim, bound: 'at most 1.5', value: 1.3, low: 1.2, high: 1.5, verdict: 'reached' },
    })
  })

  it('is missed if all ratios are beyond its bound', () => {
    expect(cpuVerdict([1.6, 1.51, 1.9, 1.7, 1.8])?.verdict).toBe('missed')
  })

  it('is undecided if some ratios are beyond, or with fewer than five rounds', () => {
    expect(cpuVerdict([1.6, 1.4, 1.9, 1.7, 1.8])?.verdict).toBe('undecided')
    expect(cpuVerdict([1.2, 1.2, 1.2, 1.2])?.verdict).toBe('undecided')
  })

  it('with a minimum is missed below it', () => {
    const slow = rounds([1, 1, 1, 1, 1]).map((one) => (one.target === 'parse' ? one : { ...one, answers: 600 }))

    expect(aimOf(new Results(slow, {}), 'requests/s, 4k-32, cwm-named, to parse')).toMatchObject({
      ...{ value: 0.6, verdict: 'missed' },
    })
  })

  it('is not measured if one of its targets was not', () => {
    const results = new Results([cell('4k-32', 'cwm-named', 1)], {})

    expect(aimOf(results, cpuAim)).toEqual({ title: cpuAim, bound: 'at most 1.5', verdict: 'not measured' })
  })

  it('compares the memory after the run with 200 MB', () => {
    const memory = { 'cwm-named': { bytes: 199 * MB, peakBytes: 300 * MB }, 'cwm-prefix': { bytes: 201 * MB } }
    const results = new Results([], memory)

    expect(aimOf(results, 'memory after the run, cwm-named, MB')?.verdict).toBe('reached')
    expect(aimOf(results, 'memory after the run, cwm-prefix, MB')?.verdict).toBe('missed')
  })

  it('compares what 100,000 first turns left on the disk with 15 MB; fewer have no verdict', () => {
    const verdict = (turns, bytes) =>
      aimOf(new Results([], {}, { 'cwm-first': { turns, bytes } }), 'disk after 100,000 first turns, cwm-first, MB')
        ?.verdict

    expect(verdict(100_000, 15 * MB)).toBe('reached')
    expect(verdict(100_000, 15.1 * MB)).toBe('missed')
    expect(verdict(1_000, 1 * MB)).toBe('not measured')
  })

  it('has no p99 unless both targets have a hundred answers', () => {
    const requests = (timed) =>
      new Results(
        rounds([1]).map((one) => ({ ...one, timed: timed[one.target] })),
        {},
      )
    const title = 'p99, 4k-32, cwm-named, to parse'

    expect(aimOf(requests({ 'cwm-named': 99, parse: 100 }), title)?.verdict).toBe('not measured')
    expect(aimOf(requests({ 'cwm-named': 100, parse: 99 }), title)?.verdict).toBe('not measured')
    expect(aimOf(requests({ 'cwm-named': 100, parse: 100 }), title)?.value).toBe(1)
  })

  it('is only listed if its scenario and its target were chosen', () => {
    const chosen = aimsFor([{ name: '4k-32' }], [{ name: 'parse' }, { name: 'cwm-first' }])

    expect(chosen.map(({ title }) => title)).toEqual([
      'CPU per request, 4k-32, cwm-first, to parse',
      'requests/s, 4k-32, cwm-first, to parse',
      'p99, 4k-32, cwm-first, to parse',
      'memory after the run, cwm-first, MB',
    ])
  })

  it('exists for every way to find a session', () => {
    const ways = new Set(judge(new Results([], {})).map(({ title }) => /cwm-\w+/.exec(title)?.[0]))

    expect(ways).toEqual(new Set(['cwm-named', 'cwm-prefix', 'cwm-first', 'cwm-unknown']))
  })
})

describe('--check', () => {
  const ends = (ratio, check = true) => {
    const results = new Results(rounds(Array(5).fill(ratio)), {})
    const judged = judge(results).filter(({ title }) => title === cpuAim)
    return exitCodeOf({ judged, failed: results.failed, check })
  }

  it('fails a run with a missed aim, but only if requested', () => {
    expect(ends(1.6)).toBe(1)
    expect(ends(1.6, false)).toBe(0)
    expect(ends(1.4)).toBe(0)
  })

  it('fails a run without measurements', () => {
    expect(exitCodeOf({ judged: judge(new Results([], {})), failed: 0, check: true })).toBe(1)
  })
})

it('fails any run with a failed request', () => {
  const results = new Results([cell('4k-32', 'bare', 1, { failed: 1 })], {})

  expect(exitCodeOf({ judged: [], failed: results.failed, check: false })).toBe(1)
})
