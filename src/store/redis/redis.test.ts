// The Redis store on a real server: the contract, on one server and in a cluster, and its own behavior: clear text, expiry, and
// notifications between proxies. test/redis-faults.test.ts covers slow, absent and unfit servers.

import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { FEW_PLACEMENTS } from '../../../test/contracts/store/engines.ts'
import {
  aBoundary,
  anOrder,
  aSession,
  aTurn,
  aWindow,
  noon,
  putTurn,
  someContent,
} from '../../../test/contracts/store/sample-records.ts'
import { describeStoreContract } from '../../../test/contracts/store/store-contract.ts'
import { until, within } from '../../../test/support/deadline.ts'
import { RedisServer, skipsRedis } from '../../../test/support/redis-server.ts'
import { silentLogger } from '../../base/logger.ts'
import type { Boundary } from '../../base/records.ts'
import { Sealer } from '../seal.ts'
import type { Store } from '../store.ts'
import type { StoreChange } from '../store-values.ts'
import { openRedisStore, type RedisOptions } from './redis.ts'

let handles: Store[] = []

async function openAt(url: string, options: Partial<RedisOptions> = {}): Promise<Store> {
  const store = await openRedisStore({
    url,
    log: silentLogger,
    maxStalenessMs: 50,
    commandTimeoutMs: 5000,
    maxPlacements: FEW_PLACEMENTS,
    ...options,
  })
  handles.push(store)
  return store
}

async function closeAll(server: RedisServer): Promise<void> {
  await Promise.all(handles.map((store) => store.close()))
  handles = []
  await server.send('FLUSHALL')
}

function describeContractAt(name: string, server: () => RedisServer, url: () => string): void {
  describeStoreContract(name, async (sealer) => ({
    store: await openAt(url(), sealer === undefined ? {} : { sealer }),
    reopen: () => openAt(url(), sealer === undefined ? {} : { sealer }),
    reopenWith: (other) => openAt(url(), other === undefined ? {} : { sealer: other }),
    dispose: () => closeAll(server()),
  }))
}

describe.skipIf(skipsRedis)('on one server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.dispose())
  afterEach(() => closeAll(server))

  describeContractAt(
    'redis',
    () => server,
    () => server.url,
  )

  /** Everything that the server holds, names and values. */
  async function dump(): Promise<string> {
    const client = new Redis({ port: server.port })
    const keys = await client.keysBuffer('*')
    const values = await Promise.all(
      keys.map(async (key) => (String(await client.type(key)) === 'string' ? client.getBuffer(key) : Buffer.of())),
    )
    client.disconnect()
    return [...keys, ...values].map((bytes) => bytes?.toString('latin1')).join('\n')
  }

  async function fillWith(store: Store, words: string): Promise<void> {
    const { prompt } = someContent(words)
    await store.reserveWindow(aWindow({ state: 'failed', reason: words, note: words }), someContent(words))
    await store.getOrCreateSession(aSession())
    await store.putRetained('acme', 'session-1', { ...aTurn(), prompt }, 1_000_000)
  }

  it('has messages and texts in clear without a key, and nowhere with one', async () => {
    await fillWith(await openAt(server.url), 'the merger is on friday')
    expect(await dump()).toContain('the merger is on friday')
    await closeAll(server)

    await fillWith(await openAt(server.url, { sealer: new Sealer(Buffer.alloc(32, 7)) }), 'the merger is on friday')

    const held = await dump()
    expect(held).not.toContain('the merger')
    expect(held).not.toContain(Buffer.from('the merger').toString('base64').slice(0, 12))
  })

  it('leaves nothing of a removed session and window except their orders', async () => {
    const store = await openAt(server.url)
    const before = (await dump()).split('\n')
    await store.saveTurn(
      aSession(),
      {
        boundaries: [aBoundary(), aBoundary({ digest: 'digest-8', rank: 1 })],
        keepBoundaries: 4,
        responses: [{ id: 'r-1', expiresAt: noon + 10 }],
      },
      true,
    )
    await store.reserveWindow(aWindow({ tags: ['a'], parent: 'before' }), someContent())

    await store.removeSession(aSession(), anOrder({ id: 'one', kind: 'session' }), [])
    await store.removeWindow(aWindow(), anOrder({ id: 'two' }), [])
    for (const id of ['one', 'two']) await store.changeDeletion('acme', id, { state: 'done' })
    await store.dropDeletions(noon * 2, 10)

    const after = (await dump()).split('\n')
    expect(after.filter((line) => line.includes('acme') && !before.includes(line))).toEqual([])
  })

  // A proxy of the previous version reads only `sb:ID`, keeps its newest 24 digests, and drops the others.
  it('keeps boundaries of ranks above 0 where a proxy without ranks neither reads nor trims', async () => {
    const store = await openAt(server.url)
    const save = (boundaries: Boundary[]) => putTurn(store, aSession(), boundaries, 2)
    await save([aBoundary({ digest: 'first', rank: 9 }), aBoundary({ digest: 'a' }), aBoundary({ digest: 'b' })])
    const client = new Redis({ port: server.port })
    const list = 'cwm:{t:acme}:sb:session-1'
    expect(JSON.parse((await client.get(list)) ?? '')).toEqual(['a', 'b'])

    // What that version does with a reply that is saved again.
    await client.set(list, JSON.stringify(['first', 'a', 'b']))
    client.disconnect()
    await save([aBoundary({ digest: 'c' })])

    expect([...(await store.findBoundaries('acme', ['first', 'a', 'b', 'c'], noon)).keys()].sort()).toEqual([
      'b',
      'c',
      'first',
    ])
  })

  // A proxy of the previous version binds and ends sessions, but maintains no `on:ID`.
  describe('beside a proxy that does not know of held windows', () => {
    const bob = aSession({ id: 'bob', head: 1, baseWindow: 'draft', baseWindowId: 'window-1' })
    const key = (name: string) => `cwm:{t:acme}:${name}`
    let store: Store
    beforeEach(async () => {
      store = await openAt(server.url)
      await store.reserveWindow(aWindow({ state: 'frozen', thaws: 1 }), someContent())
      await store.saveTurn(bob, { boundaries: [], keepBoundaries: 4 }, true)
    })

    it('finds the sessions that it bound, and holds their window', async () => {
      await server.send('DEL', key('on:window-1'))

      expect(await store.recountSessionsOn(aWindow({ thaws: 1 }))).toEqual({ count: 1, sessions: ['bob'] })
      await server.send('DEL', key('on:window-1'))
      const order = await store.removeWindow(aWindow({ thaws: 1 }), anOrder(), [])

      expect(order?.heldWindow).toBe('window-1')
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
    })

    it('finds that it ended the last session, and releases the window', async () => {
      const window = aWindow({ thaws: 1 })
      await store.removeWindow(window, anOrder(), [])
      await server.send('DEL', key('s:bob'))
      await server.send('SREM', key('ls:lineage-1'), 'bob')
      await server.send('ZREM', key('sessions'), 'bob')

      expect(await store.recountSessionsOn(window)).toEqual({ count: 0, sessions: [] })
      await store.releaseWindow('acme', 'window-1')

      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toBeUndefined()
      expect((await store.getDeletion('acme', 'deletion-1'))?.heldWindow).toBeUndefined()
    })

    it('does not let it finish the order of a held window', async () => {
      await store.removeWindow(aWindow({ thaws: 1 }), anOrder(), [])

      expect(Number(await server.send('ZCARD', key('open')))).toBe(0)
      await store.removeSession(bob, anOrder({ id: 'end', kind: 'session' }), [])
      expect(Number(await server.send('ZCARD', key('open')))).toBe(2)
    })
  })

  // A proxy of the previous version would execute it as the order of one session, and finish it without deleting anything.
  it('shows the order for requests without a session to no older proxy, before or after it changes', async () => {
    const store = await openAt(server.url)
    const order = anOrder({ kind: 'requests', name: '4', requests: 4, nextTryAt: noon })
    const due = (at: number) => store.listOpenDeletions(at, { after: '', perTenant: 10, enough: 10 })
    const listedToAll = async () => Number(await server.send('ZCARD', 'cwm:{t:acme}:open'))

    await store.addDeletion(order, [])
    expect([await listedToAll(), await due(noon)]).toEqual([0, [order]])

    await store.changeDeletion('acme', order.id, { tries: 1, nextTryAt: noon + 5 })
    expect([await listedToAll(), await due(noon)]).toEqual([0, []])
    expect(await due(noon + 5)).toEqual([{ ...order, tries: 1, nextTryAt: noon + 5 }])

    await store.changeDeletion('acme', order.id, { state: 'done' })
    expect(await due(noon + 5)).toEqual([])
    expect(await store.dropDeletions(noon * 2, 10)).toBe(1)
  })

  it('lets Redis remove boundaries and responses that no sweep found, but never sessions', async () => {
    const store = await openAt(server.url)
    await store.saveTurn(
      aSession(),
      {
        boundaries: [aBoundary({ expiresAt: noon + 60_000 })],
        keepBoundaries: 4,
        responses: [{ id: 'r-1', expiresAt: noon + 90_000 }],
      },
      true,
    )

    const left = async (key: string) => Number(await server.send('PTTL', `cwm:{t:acme}:${key}`))

    // An hour longer than the turn's expiry, by Redis' own clock.
    expect(await left('b:digest-1')).toBeGreaterThan(3_600_000)
    expect(await left('b:digest-1')).toBeLessThanOrEqual(3_660_000)
    expect(await left('r:r-1')).toBeGreaterThan(3_660_000)
    expect(await left('s:session-1')).toBe(-1)
  })

  it('separates two prefixes on one server', async () => {
    const [one, two] = [await openAt(server.url), await openAt(server.url, { prefix: 'staging' })]
    await one.getOrCreateSession(aSession())

    expect(await two.getSession('acme', 'session-1')).toBeUndefined()
    expect(await two.listIdle(noon * 2, true, 10)).toEqual([])
  })

  describe('between proxies', () => {
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
})

describe.skipIf(skipsRedis)('in a cluster', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1')
    await server.send('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await until('the cluster is up', async () => String(await server.send('CLUSTER', 'INFO')).includes('state:ok'))
  })
  afterAll(() => server.dispose())

  // Redis rejects every script and command whose keys are in more than one slot, even if one node has all slots.
  describeContractAt(
    'redis',
    () => server,
    () => server.url.replace('redis://', 'redis-cluster://'),
  )
})
