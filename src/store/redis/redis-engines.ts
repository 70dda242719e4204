// Placements and drained engines in Redis. Placements have a TTL. All of them are in one slot, so that one script can move a key from one
// engine's set to another's.

import { type EngineMethods, maxDraining, maxPlacements } from '../engine-methods.ts'
import type { RedisChanges } from './redis-changes.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'

/**
 * KEYS: the placement, the set of the engine's keys, that of `instead`'s. ARGV: the placement's key, the engine, `instead` or '',
 * milliseconds, the bound of a set. Returns the engine that is stored now, then keys that the set had too many, whose placements are to be
 * dropped. If another engine is stored, nothing is changed, because its set is not among KEYS. Scores are formatted, because Lua writes
 * times as 1.7e12. A set expires with its last member; expired ones are dropped a hundred with each addition.
 */
const placeScript = script(`
local held, engine, instead, ttl = redis.call('GET', KEYS[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
if held and held ~= engine and held ~= instead then return { held } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], engine, 'PX', ttl)
if held and held ~= engine then redis.call('ZREM', KEYS[3], ARGV[1]) end
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ttl), ARGV[1])
local expired = redis.call('ZRANGE', KEYS[2], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 100)
if #expired > 0 then redis.call('ZREM', KEYS[2], unpack(expired)) end
if redis.call('PTTL', KEYS[2]) < ttl then redis.call('PEXPIRE', KEYS[2], ttl) end
local answer = { engine }
local surplus = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[5])
if surplus > 0 then
  local first = redis.call('ZPOPMIN', KEYS[2], math.min(surplus, 100))
  for i = 1, #first, 2 do answer[#answer + 1] = first[i] end
end
return answer
`)

/** KEYS: the set of an engine's keys. Returns how many have not expired. */
const countScript = script(`
local time = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), '+inf')
`)

/** Limit of attempts. Each retry means that another proxy has replaced the engine meanwhile. */
const mostRounds = 5

/** The engine methods of the store. `most`: bound of the placements of one engine. */
export function enginesIn(rows: RedisRows, changes: RedisChanges, most = maxPlacements): EngineMethods {
  const { link, shared } = rows

  async function placeOnce(key: string, engine: string, instead: string | undefined, ttlMs: number): Promise<string> {
    const keys = [shared.placement(key), shared.placementsOf(engine), shared.placementsOf(instead ?? engine)]
    const answer = (await link.run(placeScript, keys, [key, engine, instead ?? '', ttlMs, most])) as Buffer[]
    const [stored = engine, ...surplus] = answer.map(String)
    if (surplus.length > 0) await link.call('DEL', ...surplus.map((each) => shared.placement(each)))
    return stored
  }

  return {
    async getPlacement(key) {
      const stored = await rows.get(shared.placement(key))
      return stored === null ? undefined : String(stored)
    },

    async place(key, engine, instead, ttlMs) {
      let stored = await placeOnce(key, engine, instead, ttlMs)
      let wanted = engine
      // Another engine is stored: repeat with that one, to extend its expiry.
      for (let round = 1; stored !== wanted && round < mostRounds; round++) {
        wanted = stored
        stored = await placeOnce(key, wanted, undefined, ttlMs)
      }
      return stored
    },

    countPlacements: async (engine) => Number(await link.run(countScript, [shared.placementsOf(engine)], [])),

    async setDraining(engine, draining) {
      const key = shared.drainingEngines
      if (draining) {
        await link.call('ZADD', key, 'NX', Date.now(), engine)
        await link.call('ZREMRANGEBYRANK', key, 0, -maxDraining - 1)
      } else {
        await link.call('ZREM', key, engine)
      }
      changes.tell({ kind: 'engines' })
    },

    async listDraining() {
      return (await rows.texts('ZRANGE', shared.drainingEngines, 0, -1)).sort()
    },
  }
}
