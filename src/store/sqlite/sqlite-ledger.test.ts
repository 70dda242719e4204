// The ledger's journal in a SQLite file: that it stays small, and that an older file's ledger is kept.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { countAt, noCounts } from '../../base/usage-counts.ts'
import { HOUR_MS, type LedgerAddition } from '../ledger-methods.ts'
import type { Store } from '../store.ts'
import { openSqliteStore } from './sqlite.ts'
import { applicationId, migrations } from './sqlite-schema.ts'

const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
const KEEP_MS = 90 * 24 * HOUR_MS

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-ledger-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function anAddition(number: number, tenants: readonly string[]): LedgerAddition {
  const counts = noCounts()
  counts[countAt.requests] = 1
  const rows = [{ at: hour, key: 'ci', model: 'small', counts }]
  const batches = tenants.map((tenant) => ({ tenant, rows }))
  return { source: 'proxy-1', number, batches, keepMs: KEEP_MS, maxTenants: 10_000 }
}

async function requestsOf(store: Store, tenant: string) {
  const rows = await store.readLedger(tenant, 'hour', hour, hour + HOUR_MS)
  return rows.map(({ counts }) => counts[countAt.requests])
}

/** Reads the file beside the store. */
function inFile(path: string, sql: string): unknown[] {
  const db = new Libsql(path)
  const rows = db.prepare(sql).raw().all() as unknown[][]
  db.close()
  return rows.map(([value]) => value)
}

it('folds the journal without being read, so that it does not grow', async () => {
  const path = join(folder, 'cwm.db')
  const store = await openSqliteStore({ path })
  const tenants = Array.from({ length: 10 }, (_, n) => `tenant-${n}`)
  const sizes: unknown[] = []
  for (let n = 1; n <= 200; n++) {
    await store.addToLedger(anAddition(n, tenants))
    if (n % 20 === 0)
      sizes.push(...inFile(path, 'SELECT max(n) FROM (SELECT count(*) n FROM ledger_journal GROUP BY tenant_group)'))
  }

  expect(Math.max(...sizes.map(Number))).toBeLessThanOrEqual(60)
  expect(inFile(path, 'SELECT count(*) FROM ledger')).toEqual([20])
  expect(await requestsOf(store, 'tenant-3')).toEqual([200])
  await store.close()
})

it('folds a group of many tenants earlier, so that folding stays short', async () => {
  const path = join(folder, 'cwm.db')
  const store = await openSqliteStore({ path })
  const tenants = Array.from({ length: 6_400 }, (_, n) => `tenant-${n}`)
  for (let n = 1; n <= 12; n++) await store.addToLedger(anAddition(n, tenants))

  // Each addition has 69 to 117 tenants per group, so the largest groups were folded after 9 or 10.
  const [least] = inFile(path, 'SELECT min(n) FROM (SELECT count(*) n FROM ledger_journal GROUP BY tenant_group)')
  expect(Number(least)).toBeLessThan(4)
  expect(await requestsOf(store, 'tenant-77')).toEqual([12])
  await store.close()
})

it('keeps nothing of an erased tenant in the journal', async () => {
  const path = join(folder, 'cwm.db')
  const store = await openSqliteStore({ path })
  await store.addToLedger(anAddition(1, ['acme-of-old', 'globex']))

  await store.forgetTenant('acme-of-old')

  expect(inFile(path, "SELECT entries FROM ledger_journal WHERE entries LIKE '%acme-of-old%'")).toEqual([])
  expect(inFile(path, 'SELECT tenant FROM ledger')).not.toContain('acme-of-old')
  expect(await requestsOf(store, 'globex')).toEqual([1])
  await store.close()
})

it('keeps the ledger of a store of schema version 15, and adds to it', async () => {
  const path = join(folder, 'fifteen.db')
  const db = new Libsql(path)
  for (const step of migrations.slice(0, 15)) db.exec(step)
  db.exec(`PRAGMA application_id = ${applicationId}`)
  db.exec('PRAGMA user_version = 15')
  const run = (sql: string, ...values: unknown[]) => db.prepare<[unknown[]]>(sql).run(values)
  for (const unit of ['minute', 'hour']) {
    run('INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)', 'acme', unit, hour, 'ci', 'small', '9,4,1')
  }
  run('INSERT INTO ledger_tenants VALUES (?, ?)', 'acme', hour)
  run('INSERT INTO ledger_sources VALUES (?, ?, ?, ?)', 'acme', 'proxy-0', 7, hour)
  db.close()

  const store = await openSqliteStore({ path })
  await store.addToLedger(anAddition(1, ['acme']))

  const [row] = await store.readLedger('acme', 'hour', hour, hour + HOUR_MS)
  expect(row?.counts.slice(0, 3)).toEqual([9, 5, 1])
  expect(await store.listLedgerTenants()).toEqual(['acme'])
  await store.close()
})
