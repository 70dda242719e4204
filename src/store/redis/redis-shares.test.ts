// Fair shares in a Redis that an older version of cwm writes to as well, before an update and during one: that version counts no shares,
// and drops the oldest of all tenants. What it writes is written here word for word.

import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { anEntry, anEvent, aSession, aTurn, noon } from '../../../test/contracts/store/sample-records.ts'
import { RedisServer, skipsRedis } from '../../../test/support/redis-server.ts'
import { silentLogger } from '../../base/logger.ts'
import type { Store } from '../store.ts'
import { openRedisStore } from './redis.ts'

describe.skipIf(skipsRedis)('shares in a Redis that an older version of cwm writes to as well', () => {
  let server: RedisServer
  let store: Store
  let client: Redis
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.dispose())
  beforeEach(async () => {
    client = new Redis({ port: server.port })
    store = await openRedisStore({ url: server.url, log: silentLogger, commandTimeoutMs: 5000 })
  })
  afterEach(async () => {
    vi.useRealTimers()
    await store.close()
    await client.flushall()
    client.disconnect()
  })

  const audited = async (tenant: string) => (await store.listAudit(tenant, { limit: 100 })).items.map(({ id }) => id)

  async function olderAudit(tenant: string, id: string, at: number): Promise<void> {
    const member = `${tenant}/${id}`
    await client.hset('cwm:{audit}:entries', member, JSON.stringify(anEntry({ tenant, id, at })))
    await client.zadd('cwm:{audit}:all', at, member)
    await client.zadd(`cwm:{audit}:t:${tenant}`, at, member)
  }

  it('keep the audit entries of a small tenant, and drop those that the older version added', async () => {
    for (let n = 0; n < 20; n++) await olderAudit('junk', `old-${n}`, noon + n)
    await store.appendAudit(anEntry({ id: 'a', at: noon + 50 }), 10)
    for (let n = 20; n < 40; n++) await olderAudit('junk', `old-${n}`, noon + 100 + n)

    await store.appendAudit(anEntry({ id: 'b', at: noon + 200 }), 10)

    expect(await audited('acme')).toEqual(['b', 'a'])
    expect(await audited('junk')).toEqual([39, 38, 37, 36, 35, 34, 33, 32].map((n) => `old-${n}`))
  })

  it('count a tenant again whose audit entries the older version has dropped', async () => {
    for (let n = 0; n < 9; n++)
      await store.appendAudit(anEntry({ tenant: 'was-large', id: `w-${n}`, at: noon + n }), 10)
    for (let n = 1; n < 9; n++) {
      await client.zrem('cwm:{audit}:all', `was-large/w-${n}`)
      await client.zrem('cwm:{audit}:t:was-large', `was-large/w-${n}`)
    }
    for (let n = 0; n < 15; n++) await store.appendAudit(anEntry({ id: `a-${n}`, at: noon + 20 + n }), 10)

    expect(await audited('was-large')).toEqual(['w-0'])
    expect(await audited('acme')).toHaveLength(9)
  })

  it('keep the events of a small tenant, and count those that the older version added', async () => {
    const before = await store.eventIdNow()
    await store.appendEvent(anEvent({ session: 'own' }), 10)
    for (let n = 0; n < 30; n++) {
      const event = JSON.stringify(anEvent({ tenant: 'junk', session: `x-${n}` }))
      await client.xadd('cwm:{events}:all', '*', 'tenant', 'junk', 'event', event)
    }

    await store.appendEvent(anEvent({ session: 'later' }), 10)

    const own = await store.listEvents('acme', before, 100)
    expect([own.events.map(({ session }) => session), own.missed]).toEqual([['own', 'later'], false])
    const junk = await store.listEvents('junk', before, 100)
    expect([junk.events.length, junk.missed]).toEqual([8, true])
  })

  it('report a loss to every tenant after the older version dropped the oldest events of all', async () => {
    const before = await store.eventIdNow()
    const first = await store.appendEvent(anEvent({ session: 'dropped' }), 10)
    await store.appendEvent(anEvent({ session: 'kept' }), 10)
    await client.xtrim('cwm:{events}:all', 'MAXLEN', 1)
    await client.set('cwm:{events}:from', first)

    expect(await store.listEvents('acme', before, 10)).toMatchObject({ missed: true, events: [{ session: 'kept' }] })
    await store.appendEvent(anEvent({ session: 'next' }), 10)
    expect(await store.listEvents('acme', before, 10)).toMatchObject({ missed: true })
    expect(await store.listEvents('acme', first, 10)).toMatchObject({ missed: false, events: [{}, {}] })
  })

  async function putTurns(tenant: string, ids: readonly string[], maxBytes: number): Promise<void> {
    for (const id of ids) {
      await store.getOrCreateSession(aSession({ tenant, id }))
      await store.putRetained(tenant, id, aTurn('x'.repeat(1000)), maxBytes)
    }
  }
  const hasTurns = async (tenant: string, ids: readonly string[]) =>
    (await Promise.all(ids.map((id) => store.getRetained(tenant, id)))).map((turn) => turn !== undefined)

  /** The queue, the shares and the last counted turn are all that is new. */
  const forgetShares = () => client.del('cwm:{turns}:queue', 'cwm:{turns}:shares', 'cwm:{turns}:used')

  it('count the retained turns that the older version left', async () => {
    await putTurns('acme', ['a', 'b'], 1_000_000)
    await putTurns('junk', ['1', '2', '3', '4', '5', '6'], 1_000_000)
    await forgetShares()
    await client.hdel('cwm:{turns}:totals', 'seen')

    await putTurns('globex', ['g'], 7_000)

    expect(await hasTurns('acme', ['a', 'b'])).toEqual([true, true])
    expect(await hasTurns('junk', ['1', '2', '3', '4', '5', '6'])).toEqual([false, false, false, true, true, true])
    expect(await hasTurns('globex', ['g'])).toEqual([true])
  })

  it('skip places of turns that the older version has written again or removed', async () => {
    await putTurns('acme', ['a', 'b', 'c'], 1_000_000)
    await putTurns('junk', ['1', '2', '3', '4'], 1_000_000)
    // What it does when the session of `a` goes on, and that of `b` ends.
    await client.zadd('cwm:{turns}:order', await client.hincrby('cwm:{turns}:totals', 'written', 1), 'acme/a')
    await client.zrem('cwm:{turns}:order', 'acme/b')
    const bytes = Number(await client.hget('cwm:{turns}:bytes', 'acme/b'))
    await client.hdel('cwm:{turns}:bytes', 'acme/b')
    await client.hincrby('cwm:{turns}:totals', 'bytes', -bytes)

    await putTurns('globex', ['g'], 6_000)

    expect(await hasTurns('acme', ['a', 'c'])).toEqual([true, true])
    expect(await hasTurns('junk', ['1', '2', '3', '4'])).toEqual([false, false, true, true])
  })

  it('drop the retained turns of a tenant first that has stored none for an hour', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: noon })
    await putTurns('idle', ['i'], 6_000)
    vi.setSystemTime(noon + 3_600_001)

    await putTurns('acme', ['a', 'b', 'c', 'd', 'e'], 6_000)

    expect(await hasTurns('idle', ['i'])).toEqual([false])
    expect(await hasTurns('acme', ['a', 'b', 'c', 'd', 'e'])).toEqual([true, true, true, true, true])
  })
})
