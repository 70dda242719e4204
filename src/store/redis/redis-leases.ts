// Leases in Redis, for work that only one proxy may do at a time: a key that contains the holder and expires when that proxy stops.

import { randomId } from '../../base/ids.ts'
import type { Store } from '../store.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'

/**
 * Acquires or renews the lease unless another process holds it. KEYS: the lease. ARGV: holder, milliseconds. Returns 1, or 0 if another
 * holds it.
 */
const acquireScript = script(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

const releaseScript = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`)

/** The lease methods of the store. */
export function leasesIn({ link, shared }: RedisRows): Pick<Store, 'acquireLease' | 'releaseLease'> {
  const self = randomId()
  return {
    acquireLease: async (name, ms) => Number(await link.run(acquireScript, [shared.lease(name)], [self, ms])) === 1,
    async releaseLease(name) {
      await link.run(releaseScript, [shared.lease(name)], [self])
    },
  }
}
