// Events in Redis: one stream for all tenants, limited in total, in its own slot. An id is the stream's own: Redis' time, and a number
// within the millisecond.

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

/** ARGV: tenant, event, how many are kept. Returns the id. Drops at most as many at once as it can read without delaying others. */
const appendScript = script(`${opening}
local id = redis.call('XADD', all, '*', 'tenant', ARGV[1], 'event', ARGV[2])
local length = redis.call('XLEN', all)
local drop = math.min(length - ARGV[3], 1000)
if drop > 0 then
  local oldest = redis.call('XRANGE', all, '-', '+', 'COUNT', drop)
  redis.call('XTRIM', all, 'MAXLEN', length - drop)
  redis.call('SET', from, oldest[#oldest][1])
end
return id
`)

const presentScript = script(`${opening}
return present
`)

/** ARGV: the id to start after, how many. Returns `from`, `present` and the entries. */
const listScript = script(`${opening}
return { redis.call('GET', from), present, redis.call('XRANGE', all, '(' .. ARGV[1], '+', 'COUNT', ARGV[2]) }
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
  const keys = [shared.events, shared.eventsFrom]
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
        const answer = (await link.run(listScript, keys, [cursor, count])) as [Buffer, Buffer, readonly Entry[]]
        const [from, present] = [String(answer[0]), String(answer[1])]
        if (isBefore(present, cursor)) {
          missed = true
          cursor = start
          continue
        }
        if (isBefore(cursor, from)) {
          missed = true
          cursor = from
        }
        for (const [id, [, owner, , event]] of answer[2]) {
          cursor = String(id)
          if (tenant !== undefined && String(owner) !== tenant) continue
          events.push({ ...jsonInBytes<CwmEvent>(event), id: cursor })
          if (events.length === atMost) return { events, missed, cursor }
        }
        if (answer[2].length < count) return { events, missed, cursor }
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
    if (last === undefined || entries.length < scannedAtOnce) return
    at = String(last[0])
  }
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
