// Background work: how much of it runs, who waits, and what happens when nobody else may wait.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { createMetrics, type Metrics } from '../base/metrics.ts'
import { BackgroundSlots, backgroundShare, slotsByKind } from './background.ts'

let metrics: Metrics
let slots: BackgroundSlots

function open(count: number, bound?: number): void {
  metrics = createMetrics()
  slots = new BackgroundSlots({ kind: 'freezes', slots: count, boundOf: () => bound }, metrics)
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const settled = () => vi.advanceTimersByTimeAsync(0)

/** Work that ends when the test says so. */
function begin(sharer: string, options?: Parameters<BackgroundSlots['run']>[2]) {
  const job = { state: 'waits', end: () => {} }
  const work = () => {
    job.state = 'runs'
    return new Promise<void>((resolve) => {
      job.end = resolve
    })
  }
  const end = (state: string) => {
    job.state = state
  }
  slots.run(sharer, work, options).then(
    () => end('done'),
    (error: CwmError) => end(error.code),
  )
  return job
}

const many = (count: number, sharer: string) => Array.from({ length: count }, () => begin(sharer))

describe('the share of background work', () => {
  it.each([
    [1, 2],
    [32, 2],
    [33, 3],
    [512, 32],
  ])('beside %i requests in flight is %i', (maxInFlight, share) => {
    expect(backgroundShare(maxInFlight)).toBe(share)
  })

  it.each([
    [2, { freezes: 1, deletes: 1 }],
    [8, { freezes: 6, deletes: 2 }],
    [32, { freezes: 24, deletes: 8 }],
  ])('of %i keeps a quarter for deletes: %j', (share, kinds) => {
    expect(slotsByKind(share)).toEqual(kinds)
  })
})

describe('background work', () => {
  it('of one sharer takes half of the slots at most, so that others start at once', async () => {
    open(4)
    const [first, second, third] = many(3, 'a')
    const other = begin('b')
    await settled()

    expect([first, second, third, other].map((job) => job?.state)).toEqual(['runs', 'runs', 'waits', 'runs'])
  })

  it('obeys the bound of its sharer', async () => {
    open(8, 1)
    const [first, second] = many(2, 'a')
    await settled()
    expect([first?.state, second?.state]).toEqual(['runs', 'waits'])

    first?.end()
    await settled()

    expect(second?.state).toBe('runs')
  })

  it('is refused once 64 pieces wait; the newest of the sharer with the most gives way to another', async () => {
    open(1)
    const flood = many(65, 'a')
    const more = begin('a')
    const other = begin('b')
    await settled()

    expect([more.state, flood.at(-1)?.state, flood.at(-2)?.state, other.state]).toEqual([
      'OVERLOADED',
      'OVERLOADED',
      'waits',
      'waits',
    ])
    expect(() => slots.checkRoom('a')).toThrow('max_background')
    expect(() => slots.checkRoom('c')).not.toThrow()
    expect(await metrics.text()).toContain('cwm_background_refused_total{kind="freezes",reason="queue_full"} 3')
  })

  it('gives up after half a minute, or at once if it was told not to wait', async () => {
    open(1)
    begin('a')
    const [patient, hasty] = [begin('b'), begin('c', { waits: false })]
    await settled()
    expect(hasty.state).toBe('OVERLOADED')

    await vi.advanceTimersByTimeAsync(29_999)
    expect(patient.state).toBe('waits')
    await vi.advanceTimersByTimeAsync(1)

    expect(patient.state).toBe('OVERLOADED')
  })

  it('leaves the queue when its signal aborts, and does not begin if it has aborted', async () => {
    open(1)
    begin('a')
    const stop = new AbortController()
    const waiting = begin('b', { signal: stop.signal })

    stop.abort()
    await settled()

    expect([waiting.state, begin('c', { signal: stop.signal }).state]).toEqual(['SHUTTING_DOWN', 'waits'])
    await settled()
    expect(await metrics.text()).toMatch(/^cwm_background_freezes_queued 0$/m)
  })

  it('ends its wait when cwm stops, also a claim that is not run yet', async () => {
    open(1)
    begin('a')
    const waiting = begin('b')
    const claim = slots.claim('c')

    slots.close(new CwmError('SHUTTING_DOWN', 'stopping'))
    await settled()

    expect(waiting.state).toBe('SHUTTING_DOWN')
    await expect(claim.run(() => Promise.resolve())).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(() => slots.claim('d')).toThrow('stopping')
  })
})

describe('a claim', () => {
  it('keeps a place from the beginning, and gives it back if it is not used', async () => {
    open(1)
    const unused = slots.claim('a')
    const waiting = begin('b')
    await settled()
    expect(waiting.state).toBe('waits')

    unused.release()
    unused.release()
    await settled()

    expect(waiting.state).toBe('runs')
    waiting.end()
    await settled()
    expect(await metrics.text()).toMatch(/^cwm_background_freezes 0$/m)
  })

  it('never runs its work without a slot, even if it is released while it waits or before it is run', async () => {
    open(1)
    const first = slots.claim('a')
    const second = slots.claim('b')
    const ran: string[] = []
    const waiting = second.run(async () => void ran.push('second'))

    second.release()
    await expect(waiting).rejects.toMatchObject({ code: 'INTERNAL' })
    first.release()
    await expect(first.run(async () => void ran.push('first'))).rejects.toMatchObject({ code: 'INTERNAL' })

    expect(ran).toEqual([])
  })
})
