// The audit log in Redis, in its own slot, because it is limited over all tenants and fair by tenant. Failed attempts have a log of
// their own, with the same keys and the same limit. Lists merge the two.

import type { AuditEntry } from '../../base/records.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import type { Store } from '../store.ts'
import type { PageRequest } from '../store-values.ts'
import { jsonInBytes } from '../stored-values.ts'
import { type AuditKeys, encodeTenant, memberOf, partsOf } from './redis-keys.ts'
import type { Entry, RedisRows } from './redis-rows.ts'
import { commitScript, script } from './redis-scripts.ts'
import { Transaction } from './redis-transaction.ts'
import { toJson } from './redis-values.ts'

const DROPS_AT_ONCE = 500
/** Scripts that one append runs at most to drop entries: it only needs several after a limit was lowered. */
const MAX_ROUNDS = 100

/**
 * The common start and end of the scripts below. The score of a tenant in `shares` is its number of entries and a fraction that is larger
 * the older its newest one is. Returns how many entries there are above `keep`, who probably has the most, and the oldest entry of all.
 */
const opening = `
local all, entries, shares, keep = KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1])
local function weigh(of, tenant)
  local newest = redis.call('ZRANGE', of, -1, -1, 'WITHSCORES')
  if #newest == 0 then return redis.call('ZREM', shares, tenant) end
  redis.call('ZADD', shares, redis.call('ZCARD', of) + 1 - newest[2] / 1e13, tenant)
end
`
const closing = `
local over = redis.call('ZCARD', all) - keep
if over <= 0 then return { 0, '', '' } end
return { over, redis.call('ZRANGE', shares, 0, 0, 'REV')[1] or '', redis.call('ZRANGE', all, 0, 0)[1] }
`

/** KEYS also: the tenant's entries. ARGV also: tenant, member, time, entry. */
const appendScript = script(`${opening}
local of, tenant, member, at = KEYS[4], ARGV[2], ARGV[3], ARGV[4]
redis.call('HSET', entries, member, ARGV[5])
redis.call('ZADD', all, at, member)
redis.call('ZADD', of, at, member)
weigh(of, tenant)
${closing}`)

/**
 * KEYS also: the entries of two tenants, one of which probably has the most. ARGV also: the two tenants. Counts them again, because an older
 * version of cwm adds and drops entries without counting. If one of them has the most, drops its oldest.
 */
const dropScript = script(`${opening}
weigh(KEYS[4], ARGV[2])
weigh(KEYS[5], ARGV[3])
local first, amount, _, nextAmount = unpack(redis.call('ZRANGE', shares, 0, 1, 'REV', 'WITHSCORES'))
local of = first == ARGV[2] and KEYS[4] or first == ARGV[3] and KEYS[5]
local tooMany = redis.call('ZCARD', all) - keep
if of and tooMany > 0 then
  local more = math.floor(amount) - math.floor(nextAmount or 0)
  local members = redis.call('ZRANGE', of, 0, math.min(tooMany, math.max(1, more), ${DROPS_AT_ONCE}) - 1)
  redis.call('ZREM', all, unpack(members))
  redis.call('ZREM', of, unpack(members))
  redis.call('HDEL', entries, unpack(members))
  weigh(of, first)
end
${closing}`)

type Verdict = readonly [over: number, first: Buffer, oldest: Buffer]

/** An entry of a list, and the log that it is in. */
interface Listed extends Entry {
  readonly log: AuditKeys
}

/** The audit methods of the store. */
export function auditIn(rows: RedisRows): Pick<Store, 'appendAudit' | 'listAudit'> {
  const { link, shared } = rows

  async function readEntries(listed: readonly Listed[]): Promise<AuditEntry[]> {
    const stored = new Map<string, Buffer | null>()
    for (const log of [shared.audit, shared.failedAudit]) {
      const members = listed.filter((entry) => entry.log === log).map(({ name }) => name)
      const values =
        members.length === 0 ? [] : ((await link.call('HMGET', log.entries, ...members)) as (Buffer | null)[])
      for (const [n, member] of members.entries()) stored.set(member, values[n] ?? null)
    }
    return listed.flatMap(({ name }) => {
      const raw = stored.get(name)
      return raw ? [jsonInBytes<AuditEntry>(raw)] : []
    })
  }

  async function page(tenant: string | undefined, { limit, after }: { limit: number; after?: Entry | undefined }) {
    const logs = [shared.audit, shared.failedAudit]
    const pages = logs.map(async (log): Promise<readonly Listed[]> => {
      const found = await rows.page(tenant === undefined ? log.all : log.of(tenant), { order: 'desc', limit, after })
      return found.map((entry) => ({ ...entry, log }))
    })
    const merged = (await Promise.all(pages)).flat()
    return merged.sort((a, b) => b.score - a.score || (a.name < b.name ? 1 : -1)).slice(0, limit + 1)
  }

  return {
    async appendAudit(entry, keep) {
      const { all, entries, shares, of } = entry.outcome === 'ok' ? shared.audit : shared.failedAudit
      const keys = [all, entries, shares]
      const { tenant, id, at } = entry
      const args = [keep, encodeTenant(tenant), memberOf(tenant, id), at, toJson(entry)]
      let verdict = (await link.run(appendScript, [...keys, of(tenant)], args)) as Verdict
      for (let round = 0; verdict[0] > 0 && round < MAX_ROUNDS; round++) {
        const oldest = partsOf(String(verdict[2]))[0]
        const first = verdict[1].length === 0 ? oldest : decodeURIComponent(String(verdict[1]))
        const tenants = [first, oldest]
        verdict = (await link.run(
          dropScript,
          [...keys, ...tenants.map(of)],
          [keep, ...tenants.map(encodeTenant)],
        )) as Verdict
      }
    },

    async listAudit(tenant, request: PageRequest) {
      checkLimit(request.limit)
      const list = tenant === undefined ? 'audit' : 'audit-of-tenant'
      const position = positionIn(list, request, 'number', 'string')
      const after = position && { score: position[0], name: position[1] }
      const listed = await page(tenant, { limit: request.limit, after })
      const { items, nextCursor } = toPage(
        list,
        listed,
        request.limit,
        (entry) => entry,
        (entry) => [entry.score, entry.name],
      )
      const read = await readEntries(items)
      return nextCursor === undefined ? { items: read } : { items: read, nextCursor }
    },
  }
}

/** Removes a tenant's entries. */
export async function dropAuditOf(rows: RedisRows, tenant: string): Promise<void> {
  const { link, shared } = rows
  for (const log of [shared.audit, shared.failedAudit]) {
    for (;;) {
      const members = await rows.texts('ZRANGE', log.of(tenant), 0, DROPS_AT_ONCE - 1)
      const tx = new Transaction(undefined)
      tx.write('ZREM', log.shares, encodeTenant(tenant))
      for (const member of members) {
        tx.write('ZREM', log.all, member)
        tx.write('ZREM', log.of(tenant), member)
        tx.write('HDEL', log.entries, member)
      }
      await link.run(commitScript, tx.keys, tx.args)
      if (members.length < DROPS_AT_ONCE) break
    }
  }
}
