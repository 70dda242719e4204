// Leases in Redis, for work that only one proxy may do at a time: a key that contains the holder and expires when that proxy stops. Beside
// them uses, of which each proxy may have one: a sorted set of the proxies by when their marks expire.

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

/** KEYS: the use. ARGV: process, milliseconds. The key expires with its last mark. */
const enterScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`)

/** KEYS: the use. ARGV: process. Returns how many others have a mark. */
const othersScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local others = 0
for _, holder in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')) do
  if holder ~= ARGV[1] then others = others + 1 end
end
return others
`)

const leaveScript = script(`return redis.call('ZREM', KEYS[1], ARGV[1])`)

type LeaseMethods = Pick<Store, 'acquireLease' | 'releaseLease' | 'enterUse' | 'leaveUse' | 'isUsedElsewhere'>

/** The methods of the store for leases and uses. */
export function leasesIn({ link, shared }: RedisRows): LeaseMethods {
  const self = randomId()
  return {
    async enterUse(name, ms) {
      await link.run(enterScript, [shared.use(name)], [self, ms])
    },
    async leaveUse(name) {
      await link.run(leaveScript, [shared.use(name)], [self])
    },
    isUsedElsewhere: async (name) => Number(await link.run(othersScript, [shared.use(name)], [self])) > 0,
    acquireLease: async (name, ms) => Number(await link.run(acquireScript, [shared.lease(name)], [self, ms])) === 1,
    async releaseLease(name) {
      await link.run(releaseScript, [shared.lease(name)], [self])
    },
  }
}
