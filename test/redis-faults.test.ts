// A slow, unreachable, full or foreign Redis, on a real server: calls fail soon with a clear error, nothing hangs, and everything recovers
// automatically. No message contains a password.

import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../src/base/logger.ts'
import { openRedisStore, type RedisOptions } from '../src/store/redis/redis.ts'
import type { Store } from '../src/store/store.ts'
import type { StoreChange } from '../src/store/store-values.ts'
import { aSession, aWindow, someContent } from './contracts/store/sample-records.ts'
import { CuttingHop } from './support/cutting-hop.ts'
import { until, within } from './support/deadline.ts'
import { KEEPS_EVERY_WRITE, RedisServer, skipsRedis } from './support/redis-server.ts'

const unavailable = { code: 'STORE_UNAVAILABLE' }

describe.skipIf(skipsRedis)('the Redis store', () => {
  let server: RedisServer
  let stores: Store[] = []
  const warnings: string[] = []
  const note = (_fields: unknown, text?: string) => void warnings.push(text ?? '')
  const log = { ...silentLogger, warn: note, info: note }

  afterEach(async () => {
    server.goOn()
    await Promise.all(stores.map((store) => store.close()))
    stores = []
    warnings.length = 0
    await server.dispose()
  })

  async function open(options: Partial<RedisOptions> = {}): Promise<Store> {
    const store = await openRedisStore({ url: server.url, log, maxStalenessMs: 50, ...options })
    stores.push(store)
    return store
  }

  /** Milliseconds until the call was rejected. */
  async function refusedAfter(call: () => Promise<unknown>): Promise<number> {
    const startedAt = performance.now()
    await expect(call()).rejects.toMatchObject(unavailable)
    return performance.now() - startedAt
  }

  it('hears of changes again, also if the connection breaks while it subscribes', async () => {
    server = await RedisServer.start()
    const hop = await CuttingHop.before(server.port)
    const one = await open()
    const other = await open({ url: `redis://127.0.0.1:${hop.port}` })
    const heard: StoreChange[] = []
    other.onChange((change) => void heard.push(change))
    await one.getOrCreateSession(aSession())

    hop.cut('reset')
    hop.mend()
    hop.cutAt(1, 'reset', 'subscribe')
    await until('it subscribes again', () => hop.isCut)
    hop.mend()

    await until('it hears of a change', async () => {
      await one.saveTurn(aSession(), { boundaries: [], keepBoundaries: 0, responses: [] }, false)
      return heard.length > 0
    })
    await Promise.all(stores.splice(0).map((store) => store.close()))
    await hop.close()
  })

  it('gives up on a call after its timeout, fails the next ones at once, and continues when Redis does', async () => {
    server = await RedisServer.start()
    const store = await open({ commandTimeoutMs: 200 })
    await store.getOrCreateSession(aSession())
    server.pause()

    const first = await refusedAfter(() => store.getSession('acme', 'session-1'))
    const next = await refusedAfter(() => store.getSession('acme', 'session-1'))
    server.goOn()

    expect(first).toBeGreaterThanOrEqual(190)
    expect(next).toBeLessThan(100)
    const back = await until('the session is read again', () =>
      store.getSession('acme', 'session-1').catch(() => false),
    )
    expect(back).toEqual(aSession())
    expect(warnings).toEqual([expect.stringContaining('does not answer'), expect.stringContaining('answers again')])
  })

  it('returns STORE_UNAVAILABLE while Redis is down, and has everything when it is back', async () => {
    server = await RedisServer.start(...KEEPS_EVERY_WRITE)
    const store = await open()
    await store.reserveWindow(aWindow(), someContent())
    await server.kill()

    await until('the connection is known to be gone', () =>
      store.getWindow('acme', 'draft').then(
        () => false,
        () => true,
      ),
    )
    expect(await refusedAfter(() => store.reserveWindow(aWindow({ name: 'two' }), someContent()))).toBeLessThan(500)

    await server.startAgain()
    const back = await until('the window is read again', () => store.getWindow('acme', 'draft').catch(() => false))
    expect(back).toEqual(aWindow())
    // The new process has no scripts cached, and contents have a connection of their own.
    await until('a window is stored again', () =>
      store.reserveWindow(aWindow({ name: 'two' }), someContent()).catch(() => false),
    )
  })

  it('receives changes again after an outage of Redis', async () => {
    server = await RedisServer.start(...KEEPS_EVERY_WRITE)
    const [store, other] = [await open(), await open()]
    await store.getOrCreateSession(aSession())
    await server.kill()
    await server.startAgain()

    let heard = 0
    other.onChange(() => heard++)
    let head = 0
    await until('the other hears of a thaw', async () => {
      const bound = await store.bindSession(aSession({ head: head + 1, turns: head }), false).catch(() => undefined)
      if (bound === 'saved') head++
      return heard > 0
    })
  })

  it('closes while Redis does not answer', async () => {
    server = await RedisServer.start()
    const store = await open({ commandTimeoutMs: 200 })
    server.pause()
    const asked = store.getSession('acme', 'session-1')

    await Promise.all([expect(asked).rejects.toMatchObject(unavailable), within('close', store.close(), 3000)])
  })

  it('cannot be opened if nothing listens', async () => {
    server = await RedisServer.start()
    await server.kill()

    await expect(within('a refusal', open(), 3000)).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  it('can be opened with the right password only, and reveals it to nobody', async () => {
    server = await RedisServer.start('--requirepass', 'right-one')
    const url = (password: string) => `redis://:${password}@127.0.0.1:${server.port}/3`

    const wrong = await open({ url: url('wrong-one') }).catch((error: unknown) => error)
    const without = await open().catch((error: unknown) => error)
    const store = await open({ url: url('right-one') })
    await store.getOrCreateSession(aSession())

    expect(wrong).toMatchObject({ code: 'CONFIG', message: expect.stringContaining('user and password') })
    expect(without).toMatchObject({ code: 'CONFIG', message: expect.stringContaining('password') })
    expect(JSON.stringify([wrong, String(wrong), without, warnings])).not.toMatch(/wrong-one|right-one/)
    expect(await store.getSession('acme', 'session-1')).toEqual(aSession())
  })

  it('rejects a database that the server does not have', async () => {
    server = await RedisServer.start()

    await expect(open({ url: `${server.url}/99` })).rejects.toMatchObject({ code: 'CONFIG' })
  })

  it('reports that Redis is out of memory, and keeps reading', async () => {
    server = await RedisServer.start()
    const store = await open()
    await store.getOrCreateSession(aSession())
    await server.send('CONFIG', 'SET', 'maxmemory', '1')

    await expect(store.getOrCreateSession(aSession({ id: 'two' }))).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('out of memory'),
    })
    expect(await store.getSession('acme', 'session-1')).toEqual(aSession())
  })

  // What a client of the old address gets after a failover.
  it('reconnects when it finds itself on a replica', async () => {
    server = await RedisServer.start()
    const store = await open()
    await store.getOrCreateSession(aSession())
    await server.send('REPLICAOF', '127.0.0.1', '1')
    const seen = String(await server.send('INFO', 'stats')).match(/total_connections_received:(\d+)/)?.[1]

    await expect(store.claimMeta('check', 'one')).rejects.toMatchObject(unavailable)

    await server.send('REPLICAOF', 'NO', 'ONE')
    await until('writes go on', () => store.claimMeta('check', 'one').catch(() => false))
    const now = String(await server.send('INFO', 'stats')).match(/total_connections_received:(\d+)/)?.[1]
    // One for each `send` since, and one that was recreated.
    expect(Number(now) - Number(seen)).toBeGreaterThanOrEqual(3)
  })

  describe('at start', () => {
    it.each([
      ['an evicting memory policy', ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'], 'noeviction'],
      ['a cluster node with the URL of a single server', ['--cluster-enabled', 'yes'], 'redis-cluster://'],
    ])('rejects %s', async (_what, settings, words) => {
      server = await RedisServer.start(...settings)

      await expect(open()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining(words) })
    })

    it("rejects LMCache's L2", async () => {
      server = await RedisServer.start()
      await server.send('SET', `./model@01000100@0@${'ed41'.repeat(16)}@Ab3-_x`, 'kv')

      await expect(open()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('LMCache') })
    })

    it('does not confuse its own keys with chunks', async () => {
      server = await RedisServer.start()
      const store = await open()
      await store.getOrCreateSession(aSession({ tenant: 'a@b', id: 'a@b@c@d' }))

      await expect(open()).resolves.toMatchObject({ kind: 'redis' })
    })

    it('warns about a Redis without persistence', async () => {
      server = await RedisServer.start('--appendonly', 'no')
      await open()

      expect(warnings).toEqual([expect.stringContaining('appendonly no')])
    })

    it('reports what the server does not permit to check', async () => {
      server = await RedisServer.start()
      await server.send('ACL', 'SETUSER', 'app', 'on', '>pass', '~*', '&*', '+@all', '-config', '-info')

      await open({ url: `redis://app:pass@127.0.0.1:${server.port}` })

      expect(warnings.join()).toContain('unknown')
    })

    it('rejects data of a later cwm', async () => {
      server = await RedisServer.start()
      await (await open()).close()
      await server.send('SET', 'cwm:{meta}:schema', '2')

      await expect(open()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('version 2') })
    })
  })
})
