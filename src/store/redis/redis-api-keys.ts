// API keys created by REST, in Redis. Those of all tenants are in one slot, so that a change and its revision are one script.

import type { KeyRecord } from '../../base/key-records.ts'
import type { KeyMethods } from '../key-methods.ts'
import { jsonIn } from '../stored-values.ts'
import type { RedisChanges } from './redis-changes.ts'
import { encodeTenant, memberOf, partsOf } from './redis-keys.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'

/** KEYS: the tenant's keys by name, ids, tenants, revision. ARGV: name, record, id, member, tenant, the bound. */
const addScript = script(`
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'taken' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return 'too_many' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('HSET', KEYS[3], ARGV[5], redis.call('INCR', KEYS[4]))
return 'added'
`)

/** KEYS: as above, then uses. ARGV: name, id, member, tenant. Returns the record, or nothing if the id has gone. */
const removeScript = script(`
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then return false end
local record = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[5], ARGV[2])
local revision = redis.call('INCR', KEYS[4])
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[3], ARGV[4], revision)
else redis.call('HDEL', KEYS[3], ARGV[4]) end
return record
`)

/** KEYS: ids, uses. ARGV: pairs of an id and a time. */
const markScript = script(`
for a = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[a]) == 1 and
    tonumber(redis.call('HGET', KEYS[2], ARGV[a]) or 0) < tonumber(ARGV[a + 1]) then
    redis.call('HSET', KEYS[2], ARGV[a], ARGV[a + 1])
  end
end
`)

/** Ids in one command. */
const AT_ONCE = 1_000

/** The key methods of the store. */
export function apiKeysIn(rows: RedisRows, changes: RedisChanges): KeyMethods {
  const { link, shared } = rows

  async function remove(id: string): Promise<KeyRecord | undefined> {
    const member = (await link.call('HGET', shared.apiKeyIds, id)) as Buffer | null
    if (member === null) return undefined
    const [tenant, name] = partsOf(String(member))
    const keys = [...keysOf(rows, tenant), shared.apiKeyUses]
    const removed = (await link.run(removeScript, keys, [name, id, member, encodeTenant(tenant)])) as Buffer | null
    return removed === null ? undefined : jsonIn<KeyRecord>(String(removed))
  }

  return {
    async addKey(key, most) {
      const { tenant, name, id } = key
      const words = [name, JSON.stringify(key), id, memberOf(tenant, name), encodeTenant(tenant), most]
      const outcome = String(await link.run(addScript, keysOf(rows, tenant), words))
      if (outcome === 'added') changes.tell({ kind: 'keys' })
      return outcome as 'added' | 'taken' | 'too_many'
    },

    async removeKey(id) {
      const removed = await remove(id)
      if (removed !== undefined) changes.tell({ kind: 'keys' })
      return removed
    },

    listKeys: (tenant) => readKeys(rows, tenant),

    async keysRevision() {
      return Number((await rows.get(shared.apiKeysRevision)) ?? 0)
    },

    async listKeyTenants() {
      const words = await rows.texts('HGETALL', shared.apiKeyTenants)
      const tenants = new Map<string, number>()
      for (let n = 0; n < words.length; n += 2) tenants.set(decodeURIComponent(words[n] ?? ''), Number(words[n + 1]))
      return tenants
    },

    async markKeysUsed(uses) {
      const words = [...uses].flat()
      for (let n = 0; n < words.length; n += 2 * AT_ONCE) {
        await link.run(markScript, [shared.apiKeyIds, shared.apiKeyUses], words.slice(n, n + 2 * AT_ONCE))
      }
    },

    async keyUses(ids) {
      const uses = new Map<string, number>()
      for (let n = 0; n < ids.length; n += AT_ONCE) {
        const some = ids.slice(n, n + AT_ONCE)
        const times = (await link.call('HMGET', shared.apiKeyUses, ...some)) as (Buffer | null)[]
        for (const [m, id] of some.entries()) if (times[m]) uses.set(id, Number(times[m]))
      }
      return uses
    },
  }
}

/** Removes all keys of a tenant. */
export async function dropApiKeysOf(rows: RedisRows, changes: RedisChanges, tenant: string): Promise<void> {
  const { removeKey } = apiKeysIn(rows, changes)
  for (const { id } of await readKeys(rows, tenant)) await removeKey(id)
}

function keysOf({ shared }: RedisRows, tenant: string): readonly string[] {
  return [shared.apiKeysOf(tenant), shared.apiKeyIds, shared.apiKeyTenants, shared.apiKeysRevision]
}

async function readKeys(rows: RedisRows, tenant: string): Promise<KeyRecord[]> {
  const records = await rows.texts('HVALS', rows.shared.apiKeysOf(tenant))
  const keys = records.map((record) => jsonIn<KeyRecord>(record))
  return keys.sort((a, b) => (a.name < b.name ? -1 : 1))
}
