// Handles of one Redis store, as several proxies have them, for tests of the store alone.

import { silentLogger } from '../../src/base/logger.ts'
import { openRedisStore, type RedisOptions } from '../../src/store/redis/redis.ts'
import type { Store } from '../../src/store/store.ts'
import { FEW_PLACEMENTS } from '../contracts/store/engines.ts'
import type { RedisServer } from './redis-server.ts'

let handles: Store[] = []

/** Opens a handle, which {@link closeAll} closes. */
export async function openAt(url: string, options: Partial<RedisOptions> = {}): Promise<Store> {
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

/** Closes all handles, and empties the server. */
export async function closeAll(server: RedisServer): Promise<void> {
  await Promise.all(handles.map((store) => store.close()))
  handles = []
  await server.send('FLUSHALL')
}
