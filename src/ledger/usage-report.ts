// Reads the ledger: the counts of a span, grouped.

import { CwmError, clientGone } from '../base/errors.ts'
import { addCounts, noCounts, type UsageCounts } from '../base/usage-counts.ts'
import { DAY_MS, HOUR_MS, keptFrom, type LedgerRow, type LedgerUnit, MINUTE_MS } from '../store/ledger-methods.ts'
import type { Store } from '../store/store.ts'
import type { usageDimensions } from '../wire/usage.ts'

/** What rows are grouped by. Of times, only one makes sense. */
type Dimension = (typeof usageDimensions)[number]

export interface UsageQuery {
  /** Undefined: all tenants. */
  readonly tenant: string | undefined
  /** Milliseconds since the epoch. `from` is rounded down to a minute or hour, `to` up. */
  readonly from: number
  readonly to: number
  readonly by: readonly Dimension[]
}

/** The sums of one group. A dimension by which it is not grouped is absent. */
export interface UsageLine {
  readonly at?: number
  readonly tenant?: string
  readonly key?: string
  readonly model?: string
  readonly counts: UsageCounts
}

export interface UsageReport {
  readonly unit: LedgerUnit
  readonly from: number
  readonly to: number
  /** By time, tenant, key, model. */
  readonly lines: readonly UsageLine[]
}

export interface ReportOptions {
  readonly now: number
  readonly keepMs: number
  readonly signal: AbortSignal
}

const MAX_LINES = 10_000
const TENANTS_AT_ONCE = 16
/** A client's "24 hours ago" is a little older when it is read. Minutes are kept for an hour longer than that. */
const SLACK_MS = 5 * MINUTE_MS
const spans = { minute: MINUTE_MS, hour: HOUR_MS, day: DAY_MS } as const

/**
 * Throws `INVALID_FIELD` for a span or grouping that cannot be answered, `CLIENT_GONE` when the signal aborts, and what the store throws.
 * Minutes are read if all of the span is kept in minutes, otherwise hours.
 */
export async function reportUsage(
  store: Pick<Store, 'readLedger' | 'listLedgerTenants'>,
  query: UsageQuery,
  { now, keepMs, signal }: ReportOptions,
): Promise<UsageReport> {
  const unit = query.from >= keptFrom('minute', now, keepMs) + HOUR_MS - SLACK_MS ? 'minute' : 'hour'
  check(query, unit)
  const step = spans[unit]
  // Older rows are dropped anyway.
  const from = Math.max(floor(query.from, step), floor(keptFrom('hour', now, keepMs), step))
  const to = Math.max(from, Math.min(floor(query.to + step - 1, step), floor(now, step) + step))
  const tenants = query.tenant === undefined ? await store.listLedgerTenants() : [query.tenant]
  const lines = new Map<string, { readonly line: UsageLine; readonly sums: number[] }>()
  for (let n = 0; n < tenants.length; n += TENANTS_AT_ONCE) {
    if (signal.aborted) throw clientGone('its report was complete')
    const some = tenants.slice(n, n + TENANTS_AT_ONCE)
    const read = await Promise.all(some.map((tenant) => store.readLedger(tenant, unit, from, to)))
    for (const [i, tenant] of some.entries()) for (const row of read[i] ?? []) addLine(lines, tenant, row, query.by)
    if (lines.size > MAX_LINES) throw tooMany(lines.size)
  }
  const sorted = [...lines.values()].map(({ line }) => line).sort(compareLines)
  return { unit, from, to, lines: sorted }
}

function check({ from, to, by }: UsageQuery, unit: LedgerUnit): void {
  if (from >= to) throw new CwmError('INVALID_FIELD', '`from` must be before `to`', { param: 'from' })
  if (by.filter((dimension) => Object.hasOwn(spans, dimension)).length > 1) {
    throw new CwmError('INVALID_FIELD', 'group by one of minute, hour, and day', { param: 'by' })
  }
  if (by.includes('minute') && unit === 'hour') {
    throw new CwmError('INVALID_FIELD', 'minutes are kept for a day: start later, or group by hour', { param: 'from' })
  }
}

function addLine(
  lines: Map<string, { readonly line: UsageLine; readonly sums: number[] }>,
  tenant: string,
  { at, key, model, counts }: LedgerRow,
  by: readonly Dimension[],
): void {
  const time = by.find((dimension) => Object.hasOwn(spans, dimension)) as keyof typeof spans | undefined
  const place = {
    ...(time === undefined ? {} : { at: floor(at, spans[time]) }),
    ...(by.includes('tenant') ? { tenant } : {}),
    ...(by.includes('key') ? { key } : {}),
    ...(by.includes('model') ? { model } : {}),
  }
  const name = JSON.stringify(place)
  let known = lines.get(name)
  if (known === undefined) {
    const sums = noCounts()
    known = { line: { ...place, counts: sums }, sums }
    lines.set(name, known)
  }
  addCounts(known.sums, counts)
}

function floor(at: number, step: number): number {
  return at - (at % step)
}

function compareLines(a: UsageLine, b: UsageLine): number {
  return (
    (a.at ?? 0) - (b.at ?? 0) ||
    compare(a.tenant ?? '', b.tenant ?? '') ||
    compare(a.key ?? '', b.key ?? '') ||
    compare(a.model ?? '', b.model ?? '')
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function tooMany(lines: number): CwmError {
  return new CwmError(
    'INVALID_FIELD',
    `this report would have more than ${MAX_LINES} rows (${lines} so far): choose a shorter span, or group by less`,
    { param: 'by' },
  )
}
