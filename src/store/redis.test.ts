// The Redis store on a real server: the contract, alone and in a cluster, and what is Redis' own (what is sealed, what expires,
// how a list costs what it shows).

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisServer, skipsRedis } from '../../test/support/redis-server.ts'
import { silentLogger } from '../base/logger.ts'
import type { Store } from '../base/store.ts'
import { aBoundary, aSession, aWindow, noon, someContent } from './contract/sample-records.ts'
import { describeStoreContract } from './contract/store-contract.ts'
import { openRedisStore, type RedisOptions } from './redis.ts'
import { Sealer } from './seal.ts'

describe.skipIf(skipsRedis)('on one server', () => {
  let server: RedisServer
  let handles: Store[] = []
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.dispose())

  async function open(options: Partial<RedisOptions> = {}): Promise<Store> {
    const store = await openRedisStore({ url: server.url, log: silentLogger, believeMs: 50, ...options })
    handles.push(store)
    return store
  }

  async function dispose(): Promise<void> {
    await Promise.all(handles.map((store) => store.close()))
    handles = []
    await server.send('FLUSHALL')
  }

  describeStoreContract('redis', async (sealer) => ({
    store: await open(sealer === undefined ? {} : { sealer }),
    reopen: () => open(sealer === undefined ? {} : { sealer }),
    reopenWith: (other) => open(other === undefined ? {} : { sealer: other }),
    dispose,
  }))
})
