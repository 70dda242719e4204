// The event log on a store that works, fails, hangs, and recovers.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { CwmEvent } from '../base/events.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { EventPage, StoreChange } from '../store/store-values.ts'
import type { EventSubscription } from './event-subscription.ts'
import { EventLog, type EventLogParts } from './events.ts'

const event = (session: string, tenant = 'acme') =>
  ({ tenant, kind: 'truncated', session, details: { tokens: 4096 } }) as const

/** A store of numbered events. Tests change it directly to act as another proxy. */
function aStore() {
  const events: CwmEvent[] = []
  const listeners = new Set<(change: StoreChange) => void>()
  let away = false
  const check = () => {
    if (away) throw new CwmError('STORE_UNAVAILABLE', 'away')
  }
  const store: EventLogParts['store'] = {
    appendEvent: async (stored) => {
      check()
      return String(events.push(stored))
    },
    eventIdNow: async () => {
      check()
      return String(events.length)
    },
    listEvents: async (tenant, after, atMost) => {
      check()
      const page = events
        .map((stored, n) => ({ ...stored, id: String(n + 1) }))
        .filter((stored) => Number(stored.id) > Number(after) && (tenant ?? stored.tenant) === stored.tenant)
        .slice(0, atMost)
      return { events: page, missed: false, cursor: page.at(-1)?.id ?? after }
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return {
    store,
    events,
    listeners,
    goAway: (is: boolean) => {
      away = is
    },
    byAnother: (stored: CwmEvent) => {
      events.push(stored)
      for (const listener of listeners) listener({ kind: 'event', tenant: stored.tenant })
    },
  }
}

function logOver(store: EventLogParts['store']) {
  const lines: unknown[] = []
  const metrics = createMetrics()
  const log = { ...silentLogger, warn: (line: unknown) => lines.push(line) } as unknown as EventLogParts['log']
  const eventLog = new EventLog({ store, metrics, log, now: () => 1_000, keep: 7 })
  const lost = async () => (await metrics.eventErrors.get()).values[0]?.value
  return { log: eventLog, lines, lost }
}

const never = () => new AbortController().signal

describe('emitting', () => {
  it('stores events in call order, each with the time', async () => {
    const { store, events } = aStore()
    const slow = { ...store, appendEvent: vi.fn(store.appendEvent) }
    // The first is the slowest.
    slow.appendEvent.mockImplementationOnce(async (stored, keep) => {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve()
      return store.appendEvent(stored, keep)
    })
    const { log } = logOver(slow)

    for (const session of ['a', 'b', 'c']) log.emit(event(session))
    await log.settle()

    expect(events.map(({ session, at }) => [session, at])).toEqual([
      ['a', 1_000],
      ['b', 1_000],
      ['c', 1_000],
    ])
    expect(slow.appendEvent).toHaveBeenCalledWith(expect.anything(), 7)
  })

  it('does not fail if the store does: the event is counted and logged', async () => {
    const { store, goAway } = aStore()
    const { log, lines, lost } = logOver(store)
    goAway(true)

    log.emit(event('a'))
    await log.settle()

    expect(lines).toEqual([{ event: { ...event('a'), at: 1_000 }, why: 'store_unavailable' }])
    expect(await lost()).toBe(1)
  })

  it('limits the events that wait for a store that hangs', async () => {
    let release = () => {}
    const hanging = new Promise<string>((resolve) => {
      release = () => resolve('1')
    })
    const { log, lost } = logOver({ ...aStore().store, appendEvent: () => hanging })

    for (let i = 0; i < 5_005; i++) log.emit(event(`s${i}`))
    log.emit(event('s', 'globex'))

    expect(await lost()).toBe(5)
    release()
    await log.settle()
  })
})

describe('a subscription', () => {
  const sessions = (page: EventPage | undefined) => page?.events.map(({ session }) => session)

  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('receives new events of its tenant only, from this process and from others', async () => {
    const { store, byAnother } = aStore()
    const { log } = logOver(store)
    log.emit(event('earlier'))
    await log.settle()
    const ear = await log.subscribe('acme', undefined, never())
    expect(sessions(await ear.next())).toEqual([])

    const first = ear.next()
    log.emit(event('theirs', 'globex'))
    log.emit(event('own'))
    expect(sessions(await first)).toEqual(['own'])

    const second = ear.next()
    byAnother({ ...event('elsewhere'), at: 2 })
    expect(sessions(await second)).toEqual(['elsewhere'])
    log.closeSubscriptions()
  })

  it('misses no event that arrives between two reads', async () => {
    const { store } = aStore()
    const { log } = logOver(store)
    const ear = await log.subscribe('acme', undefined, never())
    await ear.next()

    for (let n = 0; n < 250; n++) log.emit(event(`s${n}`))
    await log.settle()
    const pages = [await ear.next(), await ear.next(), await ear.next()]

    expect(pages.map((page) => page?.events.length)).toEqual([100, 100, 50])
    log.closeSubscriptions()
  })

  it('returns an empty page after 15 seconds, and finds events that nobody announced', async () => {
    const { store, events } = aStore()
    const { log } = logOver(store)
    const ear = await log.subscribe('acme', undefined, never())
    await ear.next()

    const quiet = ear.next()
    await vi.advanceTimersByTimeAsync(15_000)
    expect(sessions(await quiet)).toEqual([])
    const untold = ear.next()
    events.push({ ...event('untold'), at: 2 })
    await vi.advanceTimersByTimeAsync(15_000)

    expect(sessions(await untold)).toEqual(['untold'])
    log.closeSubscriptions()
  })

  it('continues when the store recovers, and logs the outage once', async () => {
    const { store, goAway, events } = aStore()
    const { log, lines } = logOver(store)
    const ear = await log.subscribe('acme', '0', never())
    goAway(true)
    expect(sessions(await ear.next())).toEqual([])
    const still = ear.next()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(sessions(await still)).toEqual([])

    goAway(false)
    events.push({ ...event('later'), at: 2 })
    const back = ear.next()
    await vi.advanceTimersByTimeAsync(1_000)

    expect(sessions(await back)).toEqual(['later'])
    expect(lines).toHaveLength(1)
    log.closeSubscriptions()
  })

  it('ends when its signal aborts, and leaves no timer and no slot behind', async () => {
    const { log } = logOver(aStore().store)
    const gone = new AbortController()
    const ear = await log.subscribe('acme', undefined, gone.signal)
    for (let n = 1; n < 16; n++) await log.subscribe('acme', undefined, never())
    await ear.next()
    const waiting = ear.next()

    gone.abort()

    expect(await waiting).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
    await expect(log.subscribe('acme', undefined, never())).resolves.toBeDefined()
    log.closeSubscriptions()
  })

  it('is limited to 16 per tenant', async () => {
    const { log } = logOver(aStore().store)
    for (let n = 0; n < 16; n++) await log.subscribe('acme', undefined, never())

    await expect(log.subscribe('acme', undefined, never())).rejects.toMatchObject({
      code: 'BUSY',
      message: expect.stringContaining('16'),
    })
    log.closeSubscriptions()
  })

  it('ends the oldest of the tenant with most when all 512 are taken and another tenant has fewer', async () => {
    const { log } = logOver(aStore().store)
    const taken: EventSubscription[] = []
    for (let n = 0; n < 512; n++) taken.push(await log.subscribe(`t-${Math.floor(n / 16)}`, undefined, never()))

    const honest: EventSubscription[] = []
    for (let n = 0; n < 15; n++) honest.push(await log.subscribe('honest', undefined, never()))

    expect(taken.filter(({ hasEnded }) => hasEnded).map((ended) => taken.indexOf(ended))).toEqual(
      Array.from({ length: 15 }, (_, n) => 16 * n),
    )
    expect(honest.some(({ hasEnded }) => hasEnded)).toBe(false)
    log.closeSubscriptions()
  })

  it('is refused when all are taken and nobody has more than its tenant would have then', async () => {
    const { log } = logOver(aStore().store)
    for (let n = 0; n < 512; n++) await log.subscribe(`t-${n % 256}`, undefined, never())
    await expect(log.subscribe('t-0', undefined, never())).rejects.toMatchObject({ code: 'BUSY' })

    await expect(log.subscribe('one more', undefined, never())).resolves.toBeDefined()
    await expect(log.subscribe('one more', undefined, never())).rejects.toMatchObject({ code: 'BUSY' })
    log.closeSubscriptions()
  })

  it('counts the tenants of one sharer together when all are taken', async () => {
    const { log } = logOver(aStore().store)
    const flood: EventSubscription[] = []
    for (let n = 0; n < 512; n++) flood.push(await log.subscribe(`key-${n}`, undefined, never(), '192.0.2.1'))

    const honest = await log.subscribe('honest', undefined, never(), '192.0.2.7')

    expect([flood[0]?.hasEnded, flood[1]?.hasEnded, honest.hasEnded]).toEqual([true, false, false])
    log.closeSubscriptions()
  })

  it('counts subscriptions that start at the same time', async () => {
    const { log } = logOver(aStore().store)

    const begun = await Promise.allSettled(Array.from({ length: 20 }, () => log.subscribe('acme', undefined, never())))

    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(16)
    log.closeSubscriptions()
  })

  it('frees its slot if the store did not answer at the start', async () => {
    const { store, goAway } = aStore()
    const { log } = logOver(store)
    goAway(true)
    for (let n = 0; n < 16; n++) {
      await expect(log.subscribe('acme', undefined, never())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    }

    goAway(false)

    await expect(log.subscribe('acme', undefined, never())).resolves.toBeDefined()
    log.closeSubscriptions()
  })

  it('ends when cwm stops, and new ones are rejected', async () => {
    const { store, listeners } = aStore()
    const { log } = logOver(store)
    const ear = await log.subscribe(undefined, undefined, never())
    await ear.next()
    const waiting = ear.next()

    log.closeSubscriptions()

    expect(await waiting).toBeUndefined()
    expect(listeners.size).toBe(0)
    await expect(log.subscribe(undefined, undefined, never())).rejects.toMatchObject({ code: 'BUSY' })
  })
})
