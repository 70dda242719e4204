// What the store keeps of the ledger: counts per tenant, key and model, of each minute for a day and of each hour beyond.

import { addCounts, noCounts, type UsageCounts } from '../base/usage-counts.ts'

export type LedgerUnit = 'minute' | 'hour'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS
/** Minutes are kept for a day and the current hour. */
export const MINUTES_KEPT_MS = DAY_MS + HOUR_MS

/** Collects tenants beyond the bound. It cannot be a tenant's id. */
export const OTHER_TENANTS = '(others)'

export interface LedgerRow {
  /** When its minute or hour began, milliseconds since the epoch. */
  readonly at: number
  /** The key's name. */
  readonly key: string
  /** As a label: only models that an engine serves have their own. */
  readonly model: string
  readonly counts: UsageCounts
}

/** Counts of one tenant that are to be added. */
export interface LedgerBatch {
  readonly tenant: string
  /** Of minutes; at most one row per minute, key and model. */
  readonly rows: readonly LedgerRow[]
}

export interface LedgerAddition {
  /** The process that counted. */
  readonly source: string
  /** Greater than that of all earlier additions of this source. */
  readonly number: number
  /** One per tenant. It is fastest if no {@link ledgerGroupOf} is divided between additions. */
  readonly batches: readonly LedgerBatch[]
  /** How long hours are kept, milliseconds. */
  readonly keepMs: number
  /** A batch of a tenant beyond this number is added to `OTHER_TENANTS`. */
  readonly maxTenants: number
}

export interface LedgerMethods {
  /**
   * Adds counts to their minutes and hours. Each batch is added once: it is skipped if an addition of its source with the same or a greater
   * number reached it, so a call may be repeated whose outcome is unknown. If it rejects, some batches may have been added. Repeats must
   * come from the process that made the first call.
   */
  addToLedger(addition: LedgerAddition): Promise<void>
  /** A tenant's rows from `from` (inclusive) to `to` (exclusive), by time. Milliseconds since the epoch. */
  readLedger(tenant: string, unit: LedgerUnit, from: number, to: number): Promise<readonly LedgerRow[]>
  /** The tenants that may have rows, in order. */
  listLedgerTenants(): Promise<readonly string[]>
  /** Drops what has expired at `now`: hours after `keepMs`. A store whose entries expire on their own only unlists tenants. */
  dropOldLedger(now: number, keepMs: number): Promise<void>
}

const GROUP_BITS = 6

/**
 * Divides tenants into 64 groups. SQLite writes what a group counted in a second as one row. Such rows are stored, so a tenant must stay in
 * its group in all versions. The hash is FNV-1a, with one more step that mixes the last characters into the high bits.
 */
export function ledgerGroupOf(tenant: string): number {
  let hash = 0x811c9dc5
  for (let n = 0; n < tenant.length; n++) hash = Math.imul(hash ^ tenant.charCodeAt(n), 0x01000193)
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> (32 - GROUP_BITS)
}

/** Batches by {@link ledgerGroupOf}. */
export function byLedgerGroup(batches: Iterable<LedgerBatch>): ReadonlyMap<number, readonly LedgerBatch[]> {
  const groups = new Map<number, LedgerBatch[]>()
  for (const batch of batches) {
    const group = ledgerGroupOf(batch.tenant)
    const others = groups.get(group)
    if (others === undefined) groups.set(group, [batch])
    else others.push(batch)
  }
  return groups
}

/** The stored form of counts. */
export function packCounts(counts: UsageCounts): string {
  return counts.map((count) => Math.round(count)).join(',')
}

/** Also of other versions, which may have more or fewer counts. */
export function unpackCounts(text: string): UsageCounts {
  const counts = noCounts()
  addCounts(counts, text === '' ? [] : text.split(',').map(Number))
  return counts
}

/** The hour of a minute. */
export function hourOf(at: number): number {
  return at - (at % HOUR_MS)
}

/** The first time whose minute, or hour, is kept at `now`. */
export function keptFrom(unit: LedgerUnit, now: number, keepMs: number): number {
  return now - (unit === 'minute' ? MINUTES_KEPT_MS : keepMs)
}
