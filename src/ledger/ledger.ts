// Counts requests and tokens by tenant, key and model in memory, and adds them to the store once a second. Each addition has a number, so one
// whose outcome is unknown is repeated and counts once. A killed process loses what it counted since its last addition.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import { addFirstToken, countAt, noCounts, type UsageCounts } from '../base/usage-counts.ts'
import type { FinishedRequest, UsageOwner, UsageSink, WarmedTokens } from '../base/usage-sink.ts'
import {
  byLedgerGroup,
  type LedgerAddition,
  type LedgerBatch,
  type LedgerRow,
  MINUTE_MS,
  OTHER_TENANTS,
} from '../store/ledger-methods.ts'
import type { Store } from '../store/store.ts'

export interface LedgerParts {
  readonly store: Pick<Store, 'addToLedger'>
  readonly metrics: Pick<Metrics, 'modelLabel' | 'ledgerLost'>
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly now: Now
  /** How long hours are kept, milliseconds. */
  readonly keepMs: number
}

export const FLUSH_MS = 1_000
/** Of the store. Where each key is a tenant, a client could invent any number. */
const MAX_TENANTS = 10_000
/** Rows in memory: those of the current minute, and those that wait for the store. About 300 bytes each. */
const MAX_ROWS = 20_000
const MAX_WAITING_ROWS = 50_000
/** Tenants in an addition, up to one group more. SQLite takes two milliseconds for it, which block the event loop. */
const TENANTS_AT_ONCE = 200

type Row = Omit<LedgerRow, 'counts'> & { readonly counts: number[] }
type Waiting = Pick<LedgerAddition, 'number' | 'batches'>

export class Ledger implements UsageSink {
  readonly #parts: LedgerParts
  readonly #source = randomId()
  /** By tenant, then by key and model. */
  #current = new Map<string, Map<string, Row>>()
  #rows = 0
  /** The minute of all current rows. */
  #minute = 0
  /** Oldest first. The first may be on its way to the store. */
  #waiting: Waiting[] = []
  #number = 0
  #flushing: Promise<void> | undefined
  #isAway = false

  constructor(parts: LedgerParts) {
    this.#parts = parts
  }

  finished(owner: UsageOwner, request: FinishedRequest): void {
    const counts = this.#countsOf(owner)
    const { queuedMs = 0, firstTokenMs, outcome } = request
    if (queuedMs > (counts[countAt.longestQueueMs] ?? 0)) counts[countAt.longestQueueMs] = queuedMs
    if (outcome === 'aborted') {
      add(counts, 'aborted', 1)
      return
    }
    add(counts, 'requests', 1)
    if (outcome === 'error') add(counts, 'errors', 1)
    if (firstTokenMs !== undefined) addFirstToken(counts, firstTokenMs)
    if (outcome === 'ok') addUsage(counts, request)
  }

  warmed(owner: UsageOwner, { cachedTokens, computedTokens, restores }: WarmedTokens): void {
    const counts = this.#countsOf(owner)
    add(counts, 'warmedTokens', computedTokens ?? 0)
    if (!restores || cachedTokens === null) return
    add(counts, 'restores', 1)
    add(counts, 'restoredTokens', cachedTokens)
  }

  /** A first turn had the same prefix as another session of its tenant: `tokens` of it were computed again, as an estimate. */
  repeated(owner: UsageOwner, tokens: number): void {
    const counts = this.#countsOf(owner)
    add(counts, 'repeats', 1)
    add(counts, 'repeatedTokens', tokens)
  }

  /** Adds everything counted so far to the store. Never rejects: what fails is added by a later call. */
  async flush(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing
    this.#flushing = this.#flush().finally(() => {
      this.#flushing = undefined
    })
    await this.#flushing
  }

  /** Drops a tenant's counts that are not in the store yet, when the tenant is erased. Call it before the store forgets the tenant. */
  async forget(tenant: string): Promise<void> {
    await this.flush()
    this.#rows -= this.#current.get(tenant)?.size ?? 0
    this.#current.delete(tenant)
    this.#waiting = this.#waiting.map(({ number, batches }) => ({
      number,
      batches: batches.filter((batch) => batch.tenant !== tenant),
    }))
  }

  /** While older counts wait, those of the minute are still collected, so that an outage takes a row per minute and not per second. */
  async #flush(): Promise<void> {
    const hadWaiting = this.#waiting.length > 0
    if (!hadWaiting) this.#sealCurrent()
    if (!(await this.#sendWaiting())) return
    if (hadWaiting) {
      this.#sealCurrent()
      if (!(await this.#sendWaiting())) return
    }
    if (this.#isAway) this.#parts.log.info({}, 'the ledger is stored again')
    this.#isAway = false
  }

  /** Returns whether the store took everything. */
  async #sendWaiting(): Promise<boolean> {
    const { store, keepMs } = this.#parts
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        await store.addToLedger({ ...next, source: this.#source, keepMs, maxTenants: MAX_TENANTS })
      } catch (thrown) {
        this.#reportAway(toCwmError(thrown).code.toLowerCase())
        return false
      }
      this.#waiting.shift()
      // SQLite has answered within this turn of the event loop: others come first.
      await nextTurn()
    }
    return true
  }

  /** Once per outage. */
  #reportAway(code: string): void {
    if (!this.#isAway) this.#parts.log.warn({ why: code }, 'the ledger is not stored; its counts wait in memory')
    this.#isAway = true
  }

  #countsOf({ tenant, key, model }: UsageOwner): number[] {
    const minute = Math.floor(this.#parts.now() / MINUTE_MS) * MINUTE_MS
    if (minute !== this.#minute) {
      this.#sealCurrent()
      this.#minute = minute
    }
    const label = this.#parts.metrics.modelLabel(model)
    const name = `${key}\n${label}`
    const known = this.#current.get(tenant)?.get(name)
    if (known !== undefined) return known.counts
    if (this.#rows >= MAX_ROWS) return this.#add(OTHER_TENANTS, '\n', { at: minute, key: '', model: '' })
    return this.#add(tenant, name, { at: minute, key, model: label })
  }

  #add(tenant: string, name: string, place: Omit<Row, 'counts'>): number[] {
    let rows = this.#current.get(tenant)
    if (rows === undefined) {
      rows = new Map()
      this.#current.set(tenant, rows)
    }
    let row = rows.get(name)
    if (row === undefined) {
      row = { ...place, counts: noCounts() }
      rows.set(name, row)
      this.#rows++
    }
    return row.counts
  }

  #sealCurrent(): void {
    if (this.#rows === 0) return
    const batches = [...this.#current].map(([tenant, rows]) => ({ tenant, rows: [...rows.values()] }))
    this.#current = new Map()
    this.#rows = 0
    // Whole groups, because SQLite writes a row per group.
    let next: LedgerBatch[] = []
    for (const group of byLedgerGroup(batches).values()) {
      next.push(...group)
      if (next.length < TENANTS_AT_ONCE) continue
      this.#queue(next)
      next = []
    }
    if (next.length > 0) this.#queue(next)
    this.#dropSurplus()
  }

  #queue(batches: readonly LedgerBatch[]): void {
    this.#number++
    this.#waiting.push({ number: this.#number, batches })
  }

  /** Drops the oldest that wait, except the first, which may be on its way. */
  #dropSurplus(): void {
    let rows = this.#waiting.reduce((sum, { batches }) => sum + rowsIn(batches), 0)
    while (rows > MAX_WAITING_ROWS && this.#waiting.length > 1) {
      const [lost] = this.#waiting.splice(1, 1)
      rows -= rowsIn(lost?.batches ?? [])
      this.#parts.metrics.ledgerLost.inc(requestsIn(lost?.batches ?? []))
    }
  }
}

function add(counts: number[], name: keyof typeof countAt, more: number): void {
  const at = countAt[name]
  counts[at] = (counts[at] ?? 0) + more
}

function addUsage(counts: number[], { usage, restores = false }: FinishedRequest): void {
  if (usage === undefined) return
  const { promptTokens, completionTokens, cachedTokens } = usage
  add(counts, 'metered', 1)
  add(counts, 'promptTokens', promptTokens)
  add(counts, 'completionTokens', completionTokens)
  if (cachedTokens === undefined) return
  add(counts, 'cacheReported', 1)
  add(counts, 'cachedTokens', cachedTokens)
  add(counts, 'computedTokens', Math.max(0, promptTokens - cachedTokens))
  if (!restores) return
  add(counts, 'restores', 1)
  add(counts, 'restoredTokens', cachedTokens)
}

function rowsIn(batches: LedgerAddition['batches']): number {
  return batches.reduce((sum, { rows }) => sum + rows.length, 0)
}

function requestsIn(batches: LedgerAddition['batches']): number {
  const of = (counts: UsageCounts) => (counts[countAt.requests] ?? 0) + (counts[countAt.aborted] ?? 0)
  return batches.reduce((sum, { rows }) => sum + rows.reduce((more, { counts }) => more + of(counts), 0), 0)
}
