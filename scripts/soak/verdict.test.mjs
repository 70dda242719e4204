import { describe, expect, it } from 'vitest'
import { randomFrom } from '../random.mjs'
import { plot } from './plot.mjs'
import { faultsOf, judgedOf, MIB, riseOf, slopeOf } from './verdict.mjs'

/** One sample per second, with memory as a function of the minute. */
const run = (minutes, memory) =>
  Array.from({ length: minutes * 60 }, (_, n) => {
    const at = (n + 1) / 60
    return {
      minutes: at,
      rssBytes: memory(at) * MIB,
      heapBytes: 50 * MIB,
      sockets: 40,
      inFlight: 3,
      collected: n % 2 === 0,
      atRest: n % 30 === 20,
    }
  })

const good = {
  samples: run(10, (minute) => Math.min(200, 100 + minute * 40)),
  before: { sockets: 4, inFlight: 0 },
  after: { sockets: 4, inFlight: 0 },
  wrong: 0,
  errors: 0,
  exit: 0,
  sessions: 100_000,
  planned: 100_000,
}

describe('how fast memory rises', () => {
  it('is the median of the slopes between any two points', () => {
    expect(slopeOf([1, 2, 3, 4].map((x) => [x, 7 - 2 * x]))).toBe(-2)
    // Between 0 and 1: -1; between 0 and 2: 2; between 1 and 2: 5.
    const points = [
      [0, 1],
      [1, 0],
      [2, 5],
    ]
    expect(slopeOf(points)).toBe(2)
    expect(slopeOf([[0, 1]])).toBeNaN()
  })

  it('is not affected by a few outliers', () => {
    const points = Array.from({ length: 30 }, (_, n) => [n, n % 7 === 3 ? 900 : n])

    expect(slopeOf(points)).toBeCloseTo(1)
  })

  it('is evaluated over the last five minutes, however caches filled before', () => {
    expect(judgedOf(good.samples)[0].minutes).toBeCloseTo(5, 1)
    expect(riseOf(good.samples)).toBeCloseTo(0)
  })

  it('is evaluated over the second half of a run under ten minutes', () => {
    expect(judgedOf(run(4, () => 100))[0].minutes).toBeCloseTo(2, 1)
  })

  it('ignores garbage and current work, and counts only what remains at rest', () => {
    const garbage = run(10, (minute) => 200 + minute).map((sample) => ({
      ...sample,
      rssBytes: sample.rssBytes + (sample.atRest ? 0 : 90 * sample.minutes * MIB),
    }))

    expect(riseOf(garbage) / MIB).toBeCloseTo(1)
  })
})

// Worse than observed: some MiB that are not returned yet, and a slow swing of V8's heap.
describe('fluctuating memory', () => {
  const wandering = (leak, seed) => {
    const random = randomFrom(seed)
    const phase = random() * 6
    const swing = (minute) => Math.sin(phase + minute * 4)
    const notGivenBack = () => -Math.log(1 - random())
    return run(10, (minute) => 250 + leak * minute + swing(minute) + notGivenBack())
  }
  const failed = (leak) =>
    Array.from({ length: 100 }, (_, seed) => faultsOf({ ...good, samples: wandering(leak, seed + 1) })).filter(
      (faults) => faults.length > 0,
    ).length

  it('is no leak', () => {
    expect(failed(0)).toBe(0)
  })

  it('does not hide a leak of 2 MiB per minute', () => {
    expect(failed(2)).toBe(100)
  })
})

describe('the verdict', () => {
  it('is good for a run whose memory and sockets stay constant', () => {
    expect(faultsOf(good)).toEqual([])
  })

  it.each([
    [
      'memory that rises by 1.2 MiB a minute',
      { samples: run(10, (minute) => 200 + 1.2 * minute) },
      'memory rises by 1.20',
    ],
    ['six sockets that stay open', { after: { sockets: 10, inFlight: 0 } }, '6 sockets more'],
    ['a request that never ended', { after: { sockets: 4, inFlight: 1 } }, '1 requests in flight'],
    ['one wrong answer', { wrong: 1 }, '1 answers were wrong'],
    ['an error in the log', { errors: 1 }, '1 lines of level error'],
    ['a process that did not exit', { exit: 'SIGKILL' }, 'exited with SIGKILL'],
    ['a load that was not reached', { sessions: 80_000 }, '80000 sessions of 100000'],
    ['unreadable samples', { samples: run(10, () => Number.NaN) }, 'memory rises by NaN'],
  ])('reports %s', (_, change, words) => {
    expect(faultsOf({ ...good, ...change })).toEqual([expect.stringContaining(words)])
  })
})

it('contains only valid numbers', () => {
  expect(plot(good.samples)).toMatch(/^<svg[\s\S]*<polyline[\s\S]*<\/svg>\n$/)
  expect(plot(good.samples)).not.toMatch(/NaN|undefined|Infinity/)
})
