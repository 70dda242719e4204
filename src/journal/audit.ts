// The audit log: who requested which operation, and how it ended. It records names and numbers, never content. Operations do not wait for
// it, and do not fail if it fails.

import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { AuditEntry } from '../base/records.ts'
import type { Page, PageRequest, Store } from '../store/store.ts'

export interface AuditParts {
  readonly store: Pick<Store, 'appendAudit' | 'listAudit'>
  readonly metrics: Pick<Metrics, 'auditErrors'>
  readonly log: Logger
  readonly now: Now
  /** Number of entries kept, over all tenants. */
  readonly keep: number
}

/** A finished operation. The log adds an id and the time. */
export type NewAuditEntry = Omit<AuditEntry, 'id' | 'at'>

/** Most entries that wait for the store. Further ones are dropped, counted, and logged. */
const MAX_PENDING = 10_000

export class Audit {
  readonly #parts: AuditParts
  #pending = 0
  #last: Promise<void> = Promise.resolve()

  constructor(parts: AuditParts) {
    this.#parts = parts
  }

  /** Queues an entry and returns at once. Entries are stored in call order. */
  record(note: NewAuditEntry): void {
    const { now } = this.#parts
    const entry = { ...note, id: randomId(), at: now() }
    if (this.#pending >= MAX_PENDING) {
      this.#logLost(entry, 'too many entries wait for the store')
      return
    }
    this.#pending += 1
    this.#last = this.#last.then(() => this.#append(entry))
  }

  /** Newest first, with everything recorded before the call. Without a tenant, the entries of all of them. */
  async list(tenant: string | undefined, page: PageRequest): Promise<Page<AuditEntry>> {
    await this.#last
    return await this.#parts.store.listAudit(tenant, page)
  }

  /** Resolves once every entry recorded so far is stored or dropped. */
  settle(): Promise<void> {
    return this.#last
  }

  async #append(entry: AuditEntry): Promise<void> {
    try {
      await this.#parts.store.appendAudit(entry, this.#parts.keep)
    } catch (thrown) {
      this.#logLost(entry, toCwmError(thrown).code.toLowerCase())
    } finally {
      this.#pending -= 1
    }
  }

  #logLost(entry: AuditEntry, why: string): void {
    const { metrics, log } = this.#parts
    metrics.auditErrors.inc()
    log.error({ audit: entry, why }, 'audit entry not stored; this log line is its only record')
  }
}
