// The ledger in Redis: hashes that expire, one per hour with its minutes and one per day with its hours. A field is a time, key and model; its
// value is the counts.

import {
  DAY_MS,
  HOUR_MS,
  hourOf,
  type LedgerAddition,
  type LedgerBatch,
  type LedgerMethods,
  type LedgerRow,
  type LedgerUnit,
  MINUTES_KEPT_MS,
  OTHER_TENANTS,
  packCounts,
  unpackCounts,
} from '../ledger-methods.ts'
import { LEDGER_SPAN_MS } from './redis-keys.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'

/** Longer than a proxy repeats an addition. */
const SEEN_MS = DAY_MS
const READ_AT_ONCE = 64

/**
 * KEYS: the last number of a source, the list of hashes, then per row its two hashes. ARGV: the number, milliseconds that it is kept, those
 * that minutes and hours are kept, then per row its two fields and its counts. The first count is the greatest of its terms. Numbers are
 * formatted, because Lua writes large ones as 1.7e15.
 */
const addScript = script(`
if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then return end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
local function split(text)
  local counts = {}
  for count in string.gmatch(text, '[^,]+') do counts[#counts + 1] = tonumber(count) end
  return counts
end
local function add(hash, field, more, ttl)
  local sums = split(redis.call('HGET', hash, field) or '')
  for n = 1, math.max(#sums, #more) do
    local a, b = sums[n] or 0, more[n] or 0
    sums[n] = string.format('%.0f', n == 1 and math.max(a, b) or a + b)
  end
  redis.call('HSET', hash, field, table.concat(sums, ','))
  redis.call('PEXPIRE', hash, ttl)
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + ttl), hash)
end
local k = 3
for a = 5, #ARGV, 3 do
  local counts = split(ARGV[a + 2])
  add(KEYS[k], ARGV[a], counts, ARGV[3])
  add(KEYS[k + 1], ARGV[a + 1], counts, ARGV[4])
  k = k + 2
end
redis.call('PEXPIRE', KEYS[2], math.max(tonumber(ARGV[3]), tonumber(ARGV[4])))
`)

/**
 * KEYS: the listed tenants by last addition. ARGV: the time, the bound, then tenants. Lists them up to the bound, and returns those that it
 * could not list.
 */
const listScript = script(`
local room = tonumber(ARGV[2]) - redis.call('ZCARD', KEYS[1])
local rest = {}
for a = 3, #ARGV do
  local known = redis.call('ZSCORE', KEYS[1], ARGV[a])
  if known or room > 0 then
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[a])
    if not known then room = room - 1 end
  else
    rest[#rest + 1] = ARGV[a]
  end
end
return rest
`)

const fieldOf = (at: number, { key, model }: LedgerRow) => JSON.stringify([at, key, model])

/** The ledger methods of the store. */
export function ledgerIn(rows: RedisRows): LedgerMethods {
  const { link, shared } = rows

  /** Tenants are listed before anything is written, so none has rows that a reader of all tenants misses. */
  async function listTenants(batches: readonly LedgerBatch[], maxTenants: number): Promise<ReadonlySet<string>> {
    const tenants = batches.map(({ tenant }) => tenant)
    const rest = await link.run(listScript, [shared.ledgerTenants], [Date.now(), maxTenants, ...tenants])
    const unlisted = (rest as Buffer[]).map(String)
    if (unlisted.length > 0) await link.call('ZADD', shared.ledgerTenants, Date.now(), OTHER_TENANTS)
    return new Set(unlisted)
  }

  async function addBatch(owner: string, { tenant, rows: added }: LedgerBatch, addition: LedgerAddition) {
    const { source, number, keepMs } = addition
    const keys = rows.keysOf(owner)
    const hashes = added.flatMap(({ at }) => [keys.ledger('minute', at), keys.ledger('hour', at)])
    const words = added.flatMap((row) => [fieldOf(row.at, row), fieldOf(hourOf(row.at), row), packCounts(row.counts)])
    // Counted from the last addition: the hash of an hour may be older by that hour, and that of a day by that day.
    const ttls = [SEEN_MS, MINUTES_KEPT_MS + HOUR_MS, keepMs + DAY_MS]
    const own = [keys.ledgerSource(source, tenant), keys.ledgers]
    await link.run(addScript, [...own, ...hashes], [number, ...ttls, ...words])
  }

  async function readHash(key: string, from: number, to: number): Promise<LedgerRow[]> {
    const words = await rows.texts('HGETALL', key)
    const found: LedgerRow[] = []
    for (let n = 0; n + 1 < words.length; n += 2) {
      const [at, name, model] = JSON.parse(words[n] ?? '[]') as [number, string, string]
      if (at >= from && at < to) found.push({ at, key: name, model, counts: unpackCounts(words[n + 1] ?? '') })
    }
    return found
  }

  return {
    async addToLedger(addition) {
      const unlisted = await listTenants(addition.batches, addition.maxTenants)
      const work = addition.batches.map((batch) =>
        addBatch(unlisted.has(batch.tenant) ? OTHER_TENANTS : batch.tenant, batch, addition),
      )
      await Promise.all(work)
    },

    async readLedger(tenant, unit, from, to) {
      const keys = hashesOf(unit, from, to).map((at) => rows.keysOf(tenant).ledger(unit, at))
      const found: LedgerRow[] = []
      for (let n = 0; n < keys.length; n += READ_AT_ONCE) {
        const some = keys.slice(n, n + READ_AT_ONCE).map((key) => readHash(key, from, to))
        found.push(...(await Promise.all(some)).flat())
      }
      return found.sort((a, b) => a.at - b.at || compare(a.key, b.key) || compare(a.model, b.model))
    },

    listLedgerTenants: async () => (await rows.texts('ZRANGE', shared.ledgerTenants, 0, -1)).sort(),

    async dropOldLedger(now, keepMs) {
      await link.call('ZREMRANGEBYSCORE', shared.ledgerTenants, '-inf', now - keepMs)
    },
  }
}

/** A time in each hash that covers a part of the span. */
function hashesOf(unit: LedgerUnit, from: number, to: number): number[] {
  const step = LEDGER_SPAN_MS[unit]
  const times: number[] = []
  for (let at = from - (from % step); at < to; at += step) times.push(at)
  return times
}

/** By code unit, as SQLite orders ASCII. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Removes all rows of a tenant. */
export async function dropLedgerOf(rows: RedisRows, tenant: string): Promise<void> {
  await rows.link.call('ZREM', rows.shared.ledgerTenants, tenant)
  const keys = rows.keysOf(tenant)
  const hashes = await rows.texts('ZRANGE', keys.ledgers, 0, -1)
  await rows.link.call('DEL', keys.ledgers, ...hashes)
}
