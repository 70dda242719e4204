// Tenant data in Redis: usage (counted with each change of a window), the audit log, and forgetting a tenant. The audit log is in a slot of
// its own, because it is limited over all tenants.

import type { AuditEntry, TenantUsage } from '../../base/records.ts'
import type { NearLimitOverrides } from '../../base/tenants.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import type { TenantMethods } from '../store.ts'
import { jsonInBytes } from '../stored-values.ts'
import { dropDoneDeletions } from './redis-deletions.ts'
import { dropEventsOf } from './redis-events.ts'
import { memberOf, partsOf } from './redis-keys.ts'
import { dropShared } from './redis-lineages.ts'
import { dropTurn, forgetTurn } from './redis-retained.ts'
import type { RedisRows } from './redis-rows.ts'
import { commitScript } from './redis-scripts.ts'
import { dropAllTraces } from './redis-traces.ts'
import { Transaction } from './redis-transaction.ts'
import { toJson } from './redis-values.ts'
import { counters } from './redis-windows.ts'

const dropsAtOnce = 500

/** The tenant methods of the store. */
export function tenantsIn(rows: RedisRows): TenantMethods {
  const { shared } = rows

  async function dropAudit(members: readonly string[]): Promise<void> {
    if (members.length === 0) return
    const tx = new Transaction(undefined)
    for (const member of members) {
      tx.write('ZREM', shared.audit, member)
      tx.write('ZREM', shared.auditOf(partsOf(member)[0]), member)
      tx.write('HDEL', shared.auditEntries, member)
    }
    await rows.link.run(commitScript, tx.keys, tx.args)
  }

  async function dropAuditOf(tenant: string): Promise<void> {
    for (;;) {
      const members = await rows.texts('ZRANGE', shared.auditOf(tenant), 0, dropsAtOnce - 1)
      if (members.length === 0) return
      await dropAudit(members)
    }
  }

  async function dropTurns(tenant: string): Promise<void> {
    const keys = rows.keysOf(tenant)
    for (const sessionId of await rows.texts('SMEMBERS', keys.turns)) {
      await rows.atomically(tenant, async (tx) => dropTurn(tx, keys, sessionId))
      await forgetTurn(rows, tenant, sessionId)
    }
  }

  async function usageOf(tenant: string): Promise<TenantUsage> {
    const keys = rows.keysOf(tenant)
    const [[windows, windowBytes, pinnedTokens], sessions] = await Promise.all([
      counters(rows, keys),
      rows.number('ZCARD', keys.sessions),
    ])
    return { windows, windowBytes, sessions, pinnedTokens }
  }

  return {
    usageOf,

    async usageOfAll() {
      const all = await rows.ofAllTenants(async (tenant) => [await usageOf(tenant)])
      return all.reduce(
        (sum, { windows, windowBytes, sessions, pinnedTokens }) => ({
          windows: sum.windows + windows,
          windowBytes: sum.windowBytes + windowBytes,
          sessions: sum.sessions + sessions,
          pinnedTokens: sum.pinnedTokens + pinnedTokens,
        }),
        { windows: 0, windowBytes: 0, sessions: 0, pinnedTokens: 0 },
      )
    },

    async listTenants(after, atMost) {
      const tenants = (await rows.tenants()).filter((tenant) => tenant > after)
      return tenants.sort().slice(0, atMost)
    },

    async getOverrides(tenant) {
      const stored = await rows.get(rows.keysOf(tenant).choices)
      return stored === null ? {} : (JSON.parse(String(stored)) as NearLimitOverrides)
    },

    putOverrides: (tenant, overrides) => writeOverrides(rows, tenant, overrides),

    async forgetTenant(tenant) {
      await writeOverrides(rows, tenant, {})
      await dropAllTraces(rows, tenant)
      await dropShared(rows, tenant)
      await dropTurns(tenant)
      await dropAuditOf(tenant)
      await dropEventsOf(rows, tenant)
      await dropDoneDeletions(rows, tenant)
      await rows.unlistIfEmpty(tenant)
    },

    async appendAudit(entry, keep) {
      const member = memberOf(entry.tenant, entry.id)
      const tx = new Transaction(undefined)
      tx.write('HSET', shared.auditEntries, member, toJson(entry))
      tx.write('ZADD', shared.audit, entry.at, member)
      tx.write('ZADD', shared.auditOf(entry.tenant), entry.at, member)
      await rows.link.run(commitScript, tx.keys, tx.args)
      // The last reader sees all additions, so the limit holds once all are done.
      const tooMany = (await rows.number('ZCARD', shared.audit)) - keep
      if (tooMany > 0) {
        await dropAudit(await rows.texts('ZRANGE', shared.audit, 0, Math.min(tooMany, dropsAtOnce) - 1))
      }
    },

    async listAudit(tenant, page) {
      checkLimit(page.limit)
      const list = tenant === undefined ? 'audit' : 'audit-of-tenant'
      const position = positionIn(list, page, 'number', 'string')
      const after = position && { score: position[0], name: position[1] }
      const key = tenant === undefined ? shared.audit : shared.auditOf(tenant)
      const entries = await rows.page(key, { order: 'desc', limit: page.limit, after })
      const { items, nextCursor } = toPage(
        list,
        entries,
        page.limit,
        (entry) => entry.name,
        (entry) => [entry.score, entry.name],
      )
      const stored = items.length === 0 ? [] : await rows.link.call('HMGET', shared.auditEntries, ...items)
      const read = (stored as (Buffer | null)[]).flatMap((raw) => (raw === null ? [] : [jsonInBytes<AuditEntry>(raw)]))
      return nextCursor === undefined ? { items: read } : { items: read, nextCursor }
    },
  }
}

async function writeOverrides(rows: RedisRows, tenant: string, overrides: NearLimitOverrides): Promise<void> {
  const key = rows.keysOf(tenant).choices
  await rows.atomically(tenant, async (tx) => {
    if (Object.keys(overrides).length === 0) tx.write('DEL', key)
    else tx.write('SET', key, JSON.stringify(overrides))
  })
}
