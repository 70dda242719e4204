// Tenant data in SQLite: usage (counted by triggers, see sqlite-schema.ts), the audit log, and forgetting a tenant.

import type { AuditEntry, TenantUsage } from '../../base/records.ts'
import type { NearLimitOverrides } from '../../base/tenants.ts'
import { ledgerGroupOf } from '../ledger-methods.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import type { TenantMethods } from '../store.ts'
import { promoter } from './promote.ts'
import { keyRevisions } from './sqlite-api-keys.ts'
import { end, type SqliteCore } from './sqlite-core.ts'
import { holdingIn } from './sqlite-held.ts'
import { ledgerJournalIn } from './sqlite-ledger-journal.ts'
import { numberAt, type Row, recordAt, textAt } from './sqlite-rows.ts'
import { sharesOf } from './sqlite-shares.ts'

/** The tenant methods of the store. */
export function tenantsIn(core: SqliteCore): TenantMethods {
  const { db, memory } = core
  const holding = holdingIn(core)
  const journal = ledgerJournalIn(core)
  const sql = db.prepareAll({
    usage: 'SELECT windows, window_bytes, sessions, pinned_tokens FROM usage WHERE tenant = ?',
    usageOfAll: 'SELECT total(windows), total(window_bytes), total(sessions), total(pinned_tokens) FROM usage',
    listTenants: 'SELECT tenant FROM usage WHERE tenant > ? ORDER BY tenant LIMIT ?',
    overrides: 'SELECT choices FROM choices WHERE tenant = ?',
    putOverrides: 'INSERT OR REPLACE INTO choices (tenant, choices) VALUES (?, ?)',
    dropOverrides: 'DELETE FROM choices WHERE tenant = ?',
    addAudit: `INSERT INTO audit (tenant, at, id, entry, failed) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (at, id) DO UPDATE SET entry = excluded.entry`,
    dropAudit: `DELETE FROM audit WHERE (at, id) IN
      (SELECT at, id FROM audit WHERE tenant = ? AND failed = ? ORDER BY at, id LIMIT ?)`,
    listAudit: `SELECT entry FROM audit WHERE (at, id) < (?, ?) ORDER BY at DESC, id DESC LIMIT ?`,
    listAuditOf: `SELECT entry FROM audit WHERE tenant = ? AND (at, id) < (?, ?) ORDER BY at DESC, id DESC LIMIT ?`,
  })
  const audited = [sharesOf(db, 'audit_entries'), sharesOf(db, 'failed_audit_entries')] as const
  const promote = promoter({ db, memory })
  const forget = [
    'boundaries',
    'responses',
    'shared_lineages',
    'retained',
    'audit',
    'events',
    'choices',
    'libraries',
    'library_parts',
    'api_keys',
    'ledger',
    'ledger_tenants',
  ].map((table) => db.prepare(`DELETE FROM ${table} WHERE tenant = ?`))
  const keysChanged = keyRevisions(db)
  const first = (tenant: string) => memory.firstTurns.some(tenant, 500)
  forget.push(db.prepare("DELETE FROM deletions WHERE tenant = ? AND state = 'done'"))
  return {
    usageOf: (tenant) => db.run(() => usageIn(sql.usage.get(tenant), memory.firstTurns.count(tenant))),

    usageOfAll: () => db.run(() => usageIn(sql.usageOfAll.get(), memory.firstTurns.total)),

    listTenants: (after, atMost) =>
      db.run(() => {
        const tenants = memory.firstTurns.tenants()
        for (const row of sql.listTenants.all(after, atMost)) tenants.add(textAt(row, 0))
        return [...tenants]
          .filter((tenant) => tenant > after)
          .sort()
          .slice(0, atMost)
      }),

    getOverrides: (tenant) =>
      db.run(() => {
        const row = sql.overrides.get(tenant)
        return row === undefined ? {} : recordAt<NearLimitOverrides>(row, 0)
      }),

    putOverrides: (tenant, overrides) =>
      db.run(() =>
        db.transaction('power', () => {
          if (Object.keys(overrides).length === 0) sql.dropOverrides.run(tenant)
          else sql.putOverrides.run(tenant, JSON.stringify(overrides))
        }),
      ),

    forgetTenant: (tenant) =>
      db.run(() =>
        db.transaction('power', () => {
          // A session that still exists loses its boundaries.
          for (let some = first(tenant); some.length > 0; some = first(tenant)) for (const one of some) promote(one)
          memory.firstTurns.forget(tenant)
          memory.boundaries.clear()
          holding.releaseAll(tenant)
          // The journal's rows hold other tenants' counts as well.
          journal.fold(ledgerGroupOf(tenant))
          for (const drop of forget) drop.run(tenant)
          keysChanged(tenant, false)
        }),
      ),

    appendAudit: (entry, keep) =>
      db.run(() =>
        db.transaction('power', () => {
          const failed = entry.outcome === 'ok' ? 0 : 1
          sql.addAudit.run(entry.tenant, entry.at, entry.id, JSON.stringify(entry), failed)
          audited[failed].trim(keep, ({ tenant }, count) => sql.dropAudit.run(tenant, failed, count))
        }),
      ),

    async listAudit(tenant, page) {
      checkLimit(page.limit)
      const list = tenant === undefined ? 'audit' : 'audit-of-tenant'
      const [at, id] = positionIn(list, page, 'number', 'string') ?? [end, '']
      return db.run(() => {
        const rows =
          tenant === undefined
            ? sql.listAudit.all(at, id, page.limit + 1)
            : sql.listAuditOf.all(tenant, at, id, page.limit + 1)
        const entries = rows.map((row) => recordAt<AuditEntry>(row, 0))
        return toPage(
          list,
          entries,
          page.limit,
          (entry) => entry,
          (entry) => [entry.at, entry.id],
        )
      })
    },
  }
}

function usageIn(row: Row = [0, 0, 0, 0], firstTurns: number): TenantUsage {
  return {
    windows: numberAt(row, 0),
    windowBytes: numberAt(row, 1),
    sessions: numberAt(row, 2) + firstTurns,
    pinnedTokens: numberAt(row, 3),
  }
}
