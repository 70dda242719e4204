// Events in Redis: one stream for all tenants, limited in total and fair by tenant, in its own slot. An id is the stream's own: Redis' time,
// and a number within the millisecond.

import type { CwmEvent, StoredEvent } from '../../base/events.ts'
import { checkLimit } from '../page.ts'
import type { Store } from '../store.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { RedisChanges } from './redis-changes.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'
import { toJson } from './redis-values.ts'

/**
 * The common start of the scripts below. KEYS: the stream, and the id after which it is complete. `present`: the end of the previous
 * millisecond, or the newest event if that is later; a first-time reader receives everything after it.
 */
const opening = `
local all, from = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local before = time[1] * 1000 + math.floor(time[2] / 1000) - 1
local present = string.format('%.0f-18446744073709551615', before)
local newest = redis.call('XREVRANGE', all, '+', '-', 'COUNT', 1)[1]
if newest and tonumber(newest[1]:match('^%d+')) > before then present = newest[1] end
redis.call('SET', from, present, 'NX')
`

/**
 * What each tenant has of the stream. KEYS after those above: `ids`, a set of TENANT NUL ID in the order of ids; `shares`, the number of
 * events by tenant, and a fraction that is larger the older the newest is; `dropped`, the last dropped id by tenant; `state`: `rest`, after
 * which the events of all other tenants are complete, `own`, the last `from` of this version of cwm, `seen`, the last counted id, `counted`,
 * how many were.
 */
const sharing = `
local ids, shares, dropped, state = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local function padded(id)
  local ms, n = id:match('^(%d+)%-(%d+)$')
  return string.rep('0', 16 - #ms) .. ms .. '-' .. string.rep('0', 20 - #n) .. n
end
local function later(a, b)
  if not a or (b and padded(a) < padded(b)) then return b end
  return a
end
local start = redis.call('GET', from)
local rest = redis.call('HGET', state, 'rest')
-- An older version of cwm drops the oldest events of all tenants, and says so in \`from\` alone.
if redis.call('HGET', state, 'own') ~= start then rest = later(rest, start) end
`

/**
 * ARGV: tenant, event, how many are kept. Returns the id. Counts what was added since the last count, also by an older version of
 * cwm, and drops the oldest events of the tenant with the most. One call counts and drops a limited number, so that it does not delay others.
 */
const appendScript = script(`${opening}${sharing}
local keep = tonumber(ARGV[3])
local id = redis.call('XADD', all, '*', 'tenant', ARGV[1], 'event', ARGV[2])
local seen = redis.call('HGET', state, 'seen')
for _, event in ipairs(redis.call('XRANGE', all, seen and '(' .. seen or '-', '+', 'COUNT', 1000)) do
  local tenant = event[2][2]
  seen = event[1]
  redis.call('ZADD', ids, 0, tenant .. '\\0' .. padded(seen))
  local count = math.floor(redis.call('ZSCORE', shares, tenant) or 0)
  redis.call('ZADD', shares, count + 2 - redis.call('HINCRBY', state, 'counted', 1) / 1e11, tenant)
end

local function drop(tenant)
  local place = redis.call('ZRANGE', ids, '[' .. tenant .. '\\0', '(' .. tenant .. '\\1', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not place then return redis.call('ZREM', shares, tenant) end
  local ms, n = place:sub(#tenant + 2):match('^0*(%d+)%-0*(%d+)$')
  local oldest = ms .. '-' .. n
  redis.call('ZREM', ids, place)
  redis.call('XDEL', all, oldest)
  start = later(start, oldest)
  if tonumber(redis.call('ZINCRBY', shares, -1, tenant)) >= 1 then
    redis.call('HSET', dropped, tenant, oldest)
  else
    redis.call('ZREM', shares, tenant)
    redis.call('HDEL', dropped, tenant)
    rest = later(rest, oldest)
  end
end

for _ = 1, 1000 do
  local tenant = redis.call('XLEN', all) > keep and redis.call('ZRANGE', shares, 0, 0, 'REV')[1]
  if not tenant then break end
  drop(tenant)
end
redis.call('SET', from, start)
redis.call('HSET', state, 'rest', rest, 'own', start, 'seen', seen)
return id
`)

const presentScript = script(`${opening}
return present
`)

/**
 * ARGV: the id to start after, how many, the tenant or nothing. Returns the id after which the tenant's events are complete, `present` and
 * the entries of all tenants.
 */
const listScript = script(`${opening}${sharing}
if ARGV[3] ~= '' then start = later(rest, redis.call('HGET', dropped, ARGV[3])) end
return { start, present, redis.call('XRANGE', all, '(' .. ARGV[1], '+', 'COUNT', ARGV[2]) }
`)

type Entry = readonly [id: Buffer, fields: readonly [string: Buffer, tenant: Buffer, string: Buffer, event: Buffer]]

const start = '0-0'
const scannedAtOnce = 500

/** The event methods of the store. */
export function eventsIn(
  rows: RedisRows,
  changes: RedisChanges,
): Pick<Store, 'appendEvent' | 'eventIdNow' | 'listEvents'> {
  const { link, shared } = rows
  const keys = [
    shared.events,
    shared.eventsFrom,
    shared.eventIds,
    shared.eventShares,
    shared.eventsDropped,
    shared.eventState,
  ]
  return {
    async appendEvent(event, keep) {
      const id = String(await link.run(appendScript, keys, [event.tenant, toJson(event), keep]))
      changes.tell({ kind: 'event', tenant: event.tenant })
      return id
    },

    eventIdNow: async () => String(await link.run(presentScript, keys, [])),

    async listEvents(tenant, after, atMost) {
      checkLimit(atMost)
      const events: StoredEvent[] = []
      let cursor = isId(after) ? after : start
      let missed = cursor !== after
      for (;;) {
        const count = tenant === undefined ? atMost - events.length : scannedAtOnce
        const answer = (await link.run(listScript, keys, [cursor, count, tenant ?? ''])) as [
          Buffer,
          Buffer,
          readonly Entry[],
        ]
        const [from, present] = [String(answer[0]), String(answer[1])]
        if (isBefore(present, cursor)) {
          missed = true
          cursor = start
          continue
        }
        if (isBefore(cursor, from)) {
          missed = true
          // Of all tenants together, some events before it are still there.
          if (tenant !== undefined) cursor = from
        }
        for (const [id, [, owner, , event]] of answer[2]) {
          cursor = String(id)
          if (tenant !== undefined && String(owner) !== tenant) continue
          events.push({ ...jsonInBytes<CwmEvent>(event), id: cursor })
          if (events.length === atMost) return { events, missed, cursor }
        }
        if (answer[2].length < count) return { events, missed, cursor: isBefore(cursor, from) ? from : cursor }
      }
    },
  }
}

/** Removes a tenant's events. */
export async function dropEventsOf({ link, shared }: RedisRows, tenant: string): Promise<void> {
  for (let at = start; ; ) {
    const answer = await link.call('XRANGE', shared.events, `(${at}`, '+', 'COUNT', scannedAtOnce)
    const entries = answer as readonly Entry[]
    const own = entries.filter(([, [, owner]]) => String(owner) === tenant).map(([id]) => id)
    if (own.length > 0) await link.call('XDEL', shared.events, ...own)
    const last = entries.at(-1)
    if (last === undefined || entries.length < scannedAtOnce) break
    at = String(last[0])
  }
  await link.call('ZREMRANGEBYLEX', shared.eventIds, `[${tenant}\0`, `(${tenant}\u0001`)
  await link.call('ZREM', shared.eventShares, tenant)
  await link.call('HDEL', shared.eventsDropped, tenant)
}

/** Redis rejects a number within the millisecond of more than 64 bits. */
function isId(text: string): boolean {
  return /^\d{1,16}-\d{1,20}$/.test(text) && BigInt(text.slice(text.indexOf('-') + 1)) < 2n ** 64n
}

function isBefore(a: string, b: string): boolean {
  const [aTime = '', aNumber = ''] = a.split('-')
  const [bTime = '', bNumber = ''] = b.split('-')
  return aTime === bTime ? BigInt(aNumber) < BigInt(bNumber) : Number(aTime) < Number(bTime)
}
