// Admission under random load: requests, operations whose work outlives their client, and background work, of several sharers, any of which
// may end at any moment. No bound is ever exceeded, nobody who could have a slot waits, and everything is free in the end.

import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Admission } from '../../src/admission/admission.ts'
import { BackgroundSlots } from '../../src/admission/background.ts'
import { createMetrics } from '../../src/base/metrics.ts'
import type { Caller } from '../../src/base/tenants.ts'
import { openScope } from '../support/open-scope.ts'

const SHARERS = ['a', 'b', 'c'] as const
type Sharer = (typeof SHARERS)[number]
/** Most requests in flight of one sharer. */
const BOUND = 2

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Something that waits for a slot, has it, or is over. */
interface Job {
  readonly sharer: Sharer
  readonly isBackground: boolean
  state: 'waits' | 'running' | 'over'
  /** The client leaves, or the claim is given up. */
  leave(): void
  /** The work ends. */
  finish(): void
}

class Load {
  readonly jobs: Job[] = []
  readonly metrics = createMetrics()
  readonly admission: Admission
  readonly background: BackgroundSlots

  constructor(maxInFlight: number, slots: number) {
    this.admission = new Admission({ maxInFlight, maxQueued: 5, queueMs: 1_000 }, this.metrics, Date.now)
    this.background = new BackgroundSlots({ kind: 'freezes', slots, boundOf: () => BOUND }, this.metrics)
  }

  /** A turn: its slot ends with its response. */
  enter(sharer: Sharer): void {
    const { scope, close } = openScope()
    const end = () => {
      job.state = 'over'
      close()
    }
    const job: Job = { sharer, isBackground: false, state: 'waits', leave: end, finish: end }
    this.jobs.push(job)
    try {
      const entered = this.admission.enter(callerOf(sharer), scope)
      // Whatever is done for the request meanwhile rides on its slot.
      expect(this.admission.enter(callerOf(sharer), scope)).toBe(entered)
      if (entered === undefined) job.state = 'running'
      else
        entered.then(
          () => settle(job, 'running'),
          () => settle(job, 'over'),
        )
    } catch {
      job.state = 'over'
    }
  }

  /** An operation: its slot ends with its work, even if its client left before. */
  run(sharer: Sharer): void {
    const { scope, close } = openScope()
    this.#add(sharer, false, close, (work) => this.admission.run(callerOf(sharer), scope, work))
  }

  runInBackground(sharer: Sharer): void {
    const stop = new AbortController()
    const leave = () => stop.abort()
    this.#add(sharer, true, leave, (work) => this.background.run(sharer, work, { signal: stop.signal }))
  }

  claim(sharer: Sharer): void {
    try {
      const claim = this.background.claim(sharer)
      this.#add(
        sharer,
        true,
        () => {},
        (work) => claim.run(work),
      )
    } catch {
      // The queue is full.
    }
  }

  #add(sharer: Sharer, isBackground: boolean, leave: () => void, begin: (work: () => Promise<void>) => Promise<void>) {
    let end: () => void = () => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const finish = () => {
      if (job.state === 'running') end()
    }
    const job: Job = { sharer, isBackground, state: 'waits', leave, finish }
    this.jobs.push(job)
    const work = () => {
      job.state = 'running'
      return ended
    }
    const over = () => {
      job.state = 'over'
    }
    begin(work).then(over, over)
  }

  check(isBackground: boolean, slots: number, bound: number): void {
    const jobs = this.jobs.filter((job) => job.isBackground === isBackground)
    const running = jobs.filter(({ state }) => state === 'running')
    const of = (sharer: Sharer) => running.filter((job) => job.sharer === sharer).length
    expect(running.length).toBeLessThanOrEqual(slots)
    for (const sharer of SHARERS) expect(of(sharer)).toBeLessThanOrEqual(bound)
    // Nobody is forgotten. That the background is checked alone shows that it progresses whatever requests do.
    const eligible = jobs.filter(({ state, sharer }) => state === 'waits' && of(sharer) < bound)
    if (eligible.length > 0) expect(running.length).toBe(slots)
  }

  async gauges(): Promise<number[]> {
    const text = await this.metrics.text()
    const names = ['slots_in_use', 'requests_queued', 'background_freezes', 'background_freezes_queued']
    return names.map((name) => Number(new RegExp(`^cwm_${name} (\\d+)$`, 'm').exec(text)?.[1]))
  }
}

const callerOf = (sharer: string) => ({ sharer, policy: { maxInFlight: BOUND } }) as unknown as Caller

function settle(job: Job, state: Job['state']): void {
  if (job.state === 'waits') job.state = state
}

const settled = () => vi.advanceTimersByTimeAsync(0)

const sharer = fc.constantFrom(...SHARERS)
const step = fc.oneof(
  fc.record({ add: fc.constantFrom('enter', 'run', 'runInBackground', 'claim'), sharer }),
  fc.record({ leave: fc.nat(15) }),
  fc.record({ finish: fc.nat(15) }),
  fc.record({ pass: fc.constantFrom(1, 600, 1_000, 31_000) }),
)

it('never exceeds a bound, forgets nobody, and frees everything', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ does: step, settles: fc.boolean() }), { minLength: 20, maxLength: 80, size: 'max' }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      async (steps, maxInFlight, slots) => {
        const load = new Load(maxInFlight, slots)
        for (const { does, settles } of steps) {
          // Counted from the newest, most of which are not over yet.
          if ('add' in does) load[does.add as 'enter'](does.sharer)
          else if ('leave' in does) load.jobs.at(-1 - does.leave)?.leave()
          else if ('finish' in does) load.jobs.at(-1 - does.finish)?.finish()
          else await vi.advanceTimersByTimeAsync(does.pass)
          // Several things may happen before any promise's handlers run.
          if (!settles) continue
          await settled()
          load.check(false, maxInFlight, BOUND)
          load.check(true, slots, Math.min(BOUND, Math.ceil(slots / 2)))
        }

        for (let left = load.jobs.length; left >= 0; left--) {
          for (const job of load.jobs) job.finish()
          await settled()
        }

        expect(load.jobs.filter(({ state }) => state !== 'over')).toEqual([])
        expect(await load.gauges()).toEqual([0, 0, 0, 0])
        expect(vi.getTimerCount()).toBe(0)
      },
    ),
    { numRuns: 200 },
  )
})
