// Ended logins to the dashboard in Redis, where all proxies see them: one sorted set per owner, by expiry, which expires with its last member.

import type { LoginMethods } from '../store.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'

/** The member that ends all of an owner's logins up to its score. No login's member equals it. */
const ALL = 'all'
const memberOf = (id: string) => `id:${id}`

/** KEYS: the owner's set. ARGV: the member, its expiry, how many are kept, the time. */
const endScript = script(`
local key, member, til, keep, now = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
if tonumber(til) <= tonumber(now) then return 0 end
redis.call('ZADD', key, til, member)
local all = redis.call('ZSCORE', key, '${ALL}')
local surplus = redis.call('ZCARD', key) - (all and 1 or 0) - keep
if surplus > 0 then
  local horizon
  local names = redis.call('ZRANGE', key, 0, surplus, 'WITHSCORES')
  for i = 1, #names, 2 do
    if names[i] ~= '${ALL}' and surplus > 0 then
      horizon, surplus = names[i + 1], surplus - 1
    end
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', horizon)
  redis.call('ZADD', key, 'GT', horizon, '${ALL}')
end
redis.call('PEXPIREAT', key, redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2])
return 1
`)

/** The login methods of the store. */
export function loginsIn({ link, shared }: RedisRows): LoginMethods {
  return {
    async endLogin({ owner, id, until }, keep, now) {
      await link.run(endScript, [shared.endedLogins(owner)], [memberOf(id), until, keep, now])
    },

    async isLoginEnded({ owner, id, until }) {
      const scores = await link.call('ZMSCORE', shared.endedLogins(owner), memberOf(id), ALL)
      const [own, all] = scores as readonly (Buffer | null)[]
      return (own ?? null) !== null || Number(all ?? 0) >= until
    },
  }
}
