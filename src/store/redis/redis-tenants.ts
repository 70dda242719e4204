// Tenant data in Redis: usage (counted with each change of a window), overrides, and forgetting a tenant. The audit log is in
// redis-audit.ts.

import type { TenantUsage } from '../../base/records.ts'
import type { NearLimitOverrides } from '../../base/tenants.ts'
import type { TenantMethods } from '../store.ts'
import { dropApiKeysOf } from './redis-api-keys.ts'
import { auditIn, dropAuditOf } from './redis-audit.ts'
import type { RedisChanges } from './redis-changes.ts'
import { dropDoneDeletions } from './redis-deletions.ts'
import { dropEventsOf } from './redis-events.ts'
import { releaseAll } from './redis-held.ts'
import { dropLedgerOf } from './redis-ledger.ts'
import { dropLibraries } from './redis-libraries.ts'
import { dropShared } from './redis-lineages.ts'
import { dropTurn, forgetTurn } from './redis-retained.ts'
import type { RedisRows } from './redis-rows.ts'
import { dropAllTraces } from './redis-traces.ts'
import { counters } from './redis-windows.ts'

/** The tenant methods of the store. */
export function tenantsIn(rows: RedisRows, changes: RedisChanges): TenantMethods {
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
    ...auditIn(rows),

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
      await releaseAll(rows, tenant)
      await dropShared(rows, tenant)
      await dropTurns(tenant)
      await dropLibraries(rows, tenant)
      await dropApiKeysOf(rows, changes, tenant)
      await dropLedgerOf(rows, tenant)
      await dropAuditOf(rows, tenant)
      await dropEventsOf(rows, tenant)
      await dropDoneDeletions(rows, tenant)
      await rows.unlistIfEmpty(tenant)
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
