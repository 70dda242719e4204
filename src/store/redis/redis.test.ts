// The Redis store on a real server: the contract, on one server and in a cluster, and its own behavior: clear text, expiry,
// prefixes. redis-changes.test.ts covers several proxies, test/redis-faults.test.ts covers slow, absent and unfit servers.

import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
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
import { until } from '../../../test/support/deadline.ts'
import { RedisServer, skipsRedis } from '../../../test/support/redis-server.ts'
import { closeAll, openAt } from '../../../test/support/redis-stores.ts'
import type { Boundary } from '../../base/records.ts'
import { Sealer } from '../seal.ts'
import type { Store } from '../store.ts'

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
