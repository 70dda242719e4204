// The audit log: who asked for which operation, and how it ended. It records names and numbers, never content, and no operation waits
// for it or fails by it.

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
  /** Entries kept, of all tenants together. */
  readonly keep: number
}

/** An operation that has ended; the log adds its own id and the time. */
export type NewAuditEntry = Omit<AuditEntry, 'id' | 'at'>

/** Entries that wait for the store; what comes while so many do is lost, counted and logged. */
const MAX_PENDING = 10_000

export class Audit {
  readonly #parts: AuditParts
  #pending = 0
  #last: Promise<void> = Promise.resolve()

  constructor(parts: AuditParts) {
    this.#parts = parts
  }

  /** Stores an entry, in the order of the calls, and returns at once. */
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

  /** Newest first; of all tenants where none is named. */
  list(tenant: string | undefined, page: PageRequest): Promise<Page<AuditEntry>> {
    return this.#parts.store.listAudit(tenant, page)
  }

  /** Resolves when what was recorded before is stored or lost. */
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
    log.error({ audit: entry, why }, 'an audit entry could not be stored; this line is all there is of it')
  }
}
