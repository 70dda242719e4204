import { describe, expect, it } from 'vitest'
import { Timeline } from './timeline.ts'

const noon = 1_800_000_000_000

describe('Timeline', () => {
  it('adds up what falls into the same ten seconds, per tenant', () => {
    let now = noon
    const timeline = new Timeline(() => now)
    timeline.recordUsage('acme', 100, 80)
    now += 9_999
    timeline.recordUsage('acme', 50, 0)
    timeline.recordFirstByte('acme', 40)
    timeline.recordFirstByte('acme', 20)
    now += 1
    timeline.recordFirstByte('acme', 7)

    expect(timeline.bucketsOf('acme')).toEqual([
      { at: noon, turns: 2, promptTokens: 150, cachedTokens: 80, streams: 2, ttftMs: 60, slowestMs: 40 },
      { at: noon + 10_000, turns: 0, promptTokens: 0, cachedTokens: 0, streams: 1, ttftMs: 7, slowestMs: 7 },
    ])
    expect(timeline.bucketsOf('other')).toEqual([])
  })

  it('leaves out turns without a count of cached tokens', () => {
    const timeline = new Timeline(() => noon)
    timeline.recordUsage('acme', 100, undefined)

    expect(timeline.bucketsOf('acme')).toEqual([])
  })

  it('forgets after an hour, and holds no more than an hour', () => {
    let now = noon
    const timeline = new Timeline(() => now)
    for (let i = 0; i < 1_000; i++, now += 10_000) timeline.recordUsage('acme', 1, 1)

    expect(timeline.bucketsOf('acme').length).toBeLessThanOrEqual(360)
    now += 3_600_000
    expect(timeline.bucketsOf('acme')).toEqual([])
  })

  it('keeps using the newest bucket if the clock was set back', () => {
    let now = noon
    const timeline = new Timeline(() => now)
    timeline.recordUsage('acme', 1, 1)
    now -= 60_000
    timeline.recordUsage('acme', 1, 1)

    expect(timeline.bucketsOf('acme')).toHaveLength(1)
  })
})
