// What several proxies on one Redis see of each other: notifications, retirements, leases, and shared use. On a real server.

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { anOrder, aSession } from '../../../test/contracts/store/sample-records.ts'
import { until, within } from '../../../test/support/deadline.ts'
import { RedisServer, skipsRedis } from '../../../test/support/redis-server.ts'
import { closeAll, openAt } from '../../../test/support/redis-stores.ts'
import type { StoreChange } from '../store-values.ts'

describe.skipIf(skipsRedis)('proxies on one Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.dispose())
  afterEach(() => closeAll(server))

  it('notifies the others of a session that was thawed into or ended, but not its own proxy', async () => {
    const [store, other] = [await openAt(server.url), await openAt(server.url)]
    const [own, heard]: StoreChange[][] = [[], []]
    store.onChange((change) => own?.push(change))
    const stop = other.onChange((change) => heard?.push(change))
    await store.getOrCreateSession(aSession())

    await store.bindSession(aSession({ head: 1 }), false)
    await store.removeSession(aSession({ head: 1 }), anOrder({ kind: 'session' }), [])
    await store.retireLineage('acme', 'first') // resolves when the other has received all earlier notifications
    stop()
    await store.retireLineage('acme', 'second')

    const session = { kind: 'session', tenant: 'acme', id: 'session-1' }
    const lineage = { kind: 'lineage', tenant: 'acme', lineage: 'first' }
    expect(heard?.slice(0, 3)).toEqual([session, session, lineage])
    expect(heard).not.toContainEqual({ ...lineage, lineage: 'second' })
    expect(own).toEqual([])
  })

  it('retires a lineage once every other proxy has confirmed, long before the staleness limit', async () => {
    const others = [
      await openAt(server.url, { maxStalenessMs: 60_000 }),
      await openAt(server.url, { maxStalenessMs: 60_000 }),
    ]
    const store = await openAt(server.url, { maxStalenessMs: 60_000 })
    const told = new Set<number>()
    for (const [n, other] of others.entries()) other.onChange(() => told.add(n))

    const retired = await within('retirement', store.retireLineage('acme', 'old'))

    expect(retired).toBe(true)
    expect(told).toEqual(new Set([0, 1]))
  })

  it('does not wait if it is the only one', async () => {
    const store = await openAt(server.url, { maxStalenessMs: 60_000 })

    expect(await within('retirement', store.retireLineage('acme', 'old'))).toBe(true)
  })

  // Like a proxy that was stopped, or that Redis cannot reach: it is registered, and never answers.
  it('waits for the staleness limit of a proxy that does not answer', async () => {
    const store = await openAt(server.url)
    const seconds = Math.floor(Date.now() / 1000)
    await server.send('ZADD', 'cwm:{live}:processes', String(seconds * 1000), 'silent 400')

    const startedAt = performance.now()
    expect(await within('retirement', store.retireLineage('acme', 'old'))).toBe(true)

    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(640)
  })

  it('does not wait for a proxy that ended long ago', async () => {
    const store = await openAt(server.url)
    await server.send('ZADD', 'cwm:{live}:processes', String(Date.now() - 60_000), 'ended 60000')

    expect(await within('retirement', store.retireLineage('acme', 'old'))).toBe(true)
  })

  // Nobody waits for such a proxy any longer, so its reads may be outdated without a notification.
  it('trusts no reads once Redis has not seen it for as long as others wait for it', async () => {
    const store = await openAt(server.url)
    const before = store.maxStalenessMs
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 15_000)

    const cutOff = store.maxStalenessMs
    clock.mockRestore()

    expect([before, cutOff, store.maxStalenessMs]).toEqual([50, 0, 50])
  })

  it('notifies the others of a turn, so that they continue its count', async () => {
    const [store, other] = [await openAt(server.url), await openAt(server.url)]
    const heard: StoreChange[] = []
    other.onChange((change) => heard.push(change))
    const trace = { boundaries: [], keepBoundaries: 4 }
    await store.saveTurn(aSession(), trace, true)

    await store.saveTurn(aSession({ turns: 1 }), trace, false)
    await store.retireLineage('acme', 'old') // resolves when the other has received all earlier notifications

    expect(heard[0]).toEqual({ kind: 'session', tenant: 'acme', id: 'session-1' })
  })

  it('notifies the others of engines that drain', async () => {
    const [store, other] = [await openAt(server.url), await openAt(server.url)]
    const heard: StoreChange[] = []
    other.onChange((change) => heard.push(change))

    await store.setDraining('http://a.example:8000', true)
    await store.retireLineage('acme', 'old') // resolves when the other has received all earlier notifications

    expect(heard[0]).toEqual({ kind: 'engines' })
  })

  it('let one process at a time hold a lease, until it releases it or stops', async () => {
    const [store, other] = [await openAt(server.url), await openAt(server.url)]

    const taken = await Promise.all([store, other, store, other].map((one) => one.acquireLease('sweep', 60_000)))
    const [holder, idle] = taken[0] === true ? [store, other] : [other, store]
    await idle.releaseLease('sweep')
    const still = [await holder.acquireLease('sweep', 60_000), await idle.acquireLease('sweep', 60_000)]
    await holder.releaseLease('sweep')
    const then = await idle.acquireLease('sweep', 20)
    const at = await until('its time is over', () => holder.acquireLease('sweep', 60_000))

    expect(new Set([`${taken[0]}${taken[2]}`, `${taken[1]}${taken[3]}`])).toEqual(new Set(['truetrue', 'falsefalse']))
    expect([still, then, at]).toEqual([[true, false], true, true])
  })

  it('show each process what the others use, until they leave or stop', async () => {
    const [store, other, third] = [await openAt(server.url), await openAt(server.url), await openAt(server.url)]
    const seen = () => Promise.all([store, other, third].map((one) => one.isUsedElsewhere('w')))

    await store.enterUse('w', 60_000)
    await other.enterUse('w', 60_000)
    const both = await seen()
    await store.leaveUse('w')
    const one = await seen()
    await other.leaveUse('w')
    await third.enterUse('v', 20)
    await until('its time is over', async () => !(await store.isUsedElsewhere('v')))
    await until('nothing is stored of it', async () => String(await server.send('KEYS', '*{use:*')) === '')

    expect([both, one]).toEqual([
      [true, true, true],
      [true, false, true],
    ])
  })

  it('rejects writes under a lineage that is being retired at the same moment', async () => {
    const [store, other] = [await openAt(server.url), await openAt(server.url)]

    const rounds = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        const session = aSession({ id: `s-${n}`, lineage: `l-${n}` })
        const trace = { boundaries: [], keepBoundaries: 4 }
        const [retired, saved] = await Promise.all([
          store.retireLineage('acme', `l-${n}`),
          other.saveTurn(session, trace, true),
        ])
        return { retired, saved }
      }),
    )

    for (const { retired, saved } of rounds) expect(saved).toBe(retired ? 'gone' : 'saved')
  })
})
