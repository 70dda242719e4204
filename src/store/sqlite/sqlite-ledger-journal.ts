// The ledger's journal: what was counted in a second, as one row per group of tenants. About once a minute, a group's rows are added up and
// written to the tables of sums. Writing the sums of 1,000 active tenants each second took 60 ms of CPU; this takes 14 ms
// (docs/performance.md).

import { addCounts, noCounts } from '../../base/usage-counts.ts'
import {
  HOUR_MS,
  hourOf,
  type LedgerBatch,
  type LedgerUnit,
  OTHER_TENANTS,
  packCounts,
  unpackCounts,
} from '../ledger-methods.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, textAt } from './sqlite-rows.ts'

/** A row of the journal holds these as JSON: tenant, minute, key, model, packed counts. */
type Entry = readonly [tenant: string, at: number, key: string, model: string, counts: string]

/** The sums of a minute, key and model of a tenant. */
interface Sum {
  readonly at: number
  readonly key: string
  readonly model: string
  readonly counts: number[]
}

interface TenantSums {
  readonly sums: Map<string, Sum>
  /** Of the tenant's newest addition. */
  maxTenants: number
}

export interface LedgerJournal {
  /** Appends what tenants of one group counted. Inside a transaction. */
  append(group: number, batches: readonly LedgerBatch[], maxTenants: number): void
  /** The groups that have rows. */
  groups(): readonly number[]
  hasRows(group: number): boolean
  /** Moves a group's rows into the tables of sums. Inside a transaction. Takes milliseconds for a thousand entries. */
  fold(group: number): void
}

/** The journal of a file. It keeps nothing in memory. */
export function ledgerJournalIn({ db, now }: SqliteCore): LedgerJournal {
  const sql = db.prepareAll({
    append: 'INSERT INTO ledger_journal (tenant_group, max_tenants, entries) VALUES (?, ?, ?)',
    groups: 'SELECT DISTINCT tenant_group FROM ledger_journal ORDER BY tenant_group',
    has: 'SELECT 1 FROM ledger_journal WHERE tenant_group = ? LIMIT 1',
    read: 'SELECT max_tenants, entries FROM ledger_journal WHERE tenant_group = ? ORDER BY id',
    drop: 'DELETE FROM ledger_journal WHERE tenant_group = ?',
    listedAt: 'SELECT at FROM ledger_tenants WHERE tenant = ?',
    countTenants: 'SELECT count(*) FROM ledger_tenants',
    list: 'INSERT OR REPLACE INTO ledger_tenants (tenant, at) VALUES (?, ?)',
    get: 'SELECT counts FROM ledger WHERE tenant = ? AND unit = ? AND at = ? AND key = ? AND model = ?',
    put: 'INSERT OR REPLACE INTO ledger (tenant, unit, at, key, model, counts) VALUES (?, ?, ?, ?, ?, ?)',
  })

  function addSum(tenant: string, unit: LedgerUnit, at: number, { key, model, counts }: Sum): void {
    const stored = sql.get.get(tenant, unit, at, key, model)
    const sums = [...unpackCounts(stored === undefined ? '' : textAt(stored, 0))]
    addCounts(sums, counts)
    sql.put.run(tenant, unit, at, key, model, packCounts(sums))
  }

  /** Lists a tenant if there is room. Most find it listed, and write nothing. */
  function isListed(tenant: string, hasRoom: () => boolean): boolean {
    const row = sql.listedAt.get(tenant)
    if (row === undefined && !hasRoom()) return false
    if (row === undefined || numberAt(row, 0) < now() - HOUR_MS) sql.list.run(tenant, now())
    return true
  }

  function addTenant(tenant: string, { sums, maxTenants }: TenantSums): void {
    const hasRoom = () => {
      const total = sql.countTenants.get()
      return total === undefined || numberAt(total, 0) < maxTenants
    }
    const owner = isListed(tenant, hasRoom) ? tenant : OTHER_TENANTS
    if (owner !== tenant) isListed(owner, () => true)
    for (const sum of sums.values()) {
      addSum(owner, 'minute', sum.at, sum)
      addSum(owner, 'hour', hourOf(sum.at), sum)
    }
  }

  return {
    append(group, batches, maxTenants) {
      const entries = batches.flatMap(({ tenant, rows }) =>
        rows.map(({ at, key, model, counts }): Entry => [tenant, at, key, model, packCounts(counts)]),
      )
      if (entries.length > 0) sql.append.run(group, maxTenants, JSON.stringify(entries))
    },

    groups: () => sql.groups.all().map((row) => numberAt(row, 0)),

    hasRows: (group) => sql.has.get(group) !== undefined,

    fold(group) {
      const tenants = new Map<string, TenantSums>()
      for (const row of sql.read.all(group)) {
        const maxTenants = numberAt(row, 0)
        for (const entry of JSON.parse(textAt(row, 1)) as Entry[]) addEntry(tenants, entry, maxTenants)
      }
      for (const [tenant, sums] of tenants) addTenant(tenant, sums)
      sql.drop.run(group)
    },
  }
}

function addEntry(tenants: Map<string, TenantSums>, entry: Entry, maxTenants: number): void {
  const [tenant, at, key, model, packed] = entry
  let owned = tenants.get(tenant)
  if (owned === undefined) {
    owned = { sums: new Map(), maxTenants }
    tenants.set(tenant, owned)
  }
  owned.maxTenants = maxTenants
  // A key's name has no line break.
  const name = `${at}\n${key}\n${model}`
  let sum = owned.sums.get(name)
  if (sum === undefined) {
    sum = { at, key, model, counts: noCounts() }
    owned.sums.set(name, sum)
  }
  addCounts(sum.counts, unpackCounts(packed))
}
