import { describe, expect, it } from 'vitest'
import { Timeline } from './timeline.ts'

const noon = 1_800_000_000_000

describe('Timeline', () => {
  it('adds up what falls into the same ten seconds, for each tenant apart', () => {
    let now = noon
    const timeline = new Timeline(() => now)
    timeline.used('acme', 100, 80)
    now += 9_999
    timeline.used('acme', 50, 0)
    timeline.began('acme', 40)
    timeline.began('acme', 20)
    now += 1
    timeline.began('acme', 7)

    expect(timeline.of('acme')).toEqual([
      { at: noon, turns: 2, promptTokens: 150, cachedTokens: 80, streams: 2, ttftMs: 60, slowestMs: 40 },
      { at: noon + 10_000, turns: 0, promptTokens: 0, cachedTokens: 0, streams: 1, ttftMs: 7, slowestMs: 7 },
    ])
    expect(timeline.of('other')).toEqual([])
  })

  it('counts no turn whose cached tokens nobody told', () => {
    const timeline = new Timeline(() => noon)
    timeline.used('acme', 100, undefined)

    expect(timeline.of('acme')).toEqual([])
  })

  it('forgets after an hour, and holds no more than an hour', () => {
    let now = noon
    const timeline = new Timeline(() => now)
    for (let i = 0; i < 1_000; i++, now += 10_000) timeline.used('acme', 1, 1)

    expect(timeline.of('acme').length).toBeLessThanOrEqual(360)
    now += 3_600_000
    expect(timeline.of('acme')).toEqual([])
  })

  it('writes on where the clock was set back', () => {
    let now = noon
    const timeline = new Timeline(() => now)
    timeline.used('acme', 1, 1)
    now -= 60_000
    timeline.used('acme', 1, 1)

    expect(timeline.of('acme')).toHaveLength(1)
  })
})
