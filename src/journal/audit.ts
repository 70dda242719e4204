// The audit log: who requested which operation, and how it ended. It records names and numbers, never content. Operations do not wait for
// it, and do not fail if it fails. Equal failed attempts within ten minutes are one entry, with their number and the time of the last.

import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import { FairBudget } from '../base/fair-budget.ts'
import { FairMap } from '../base/fair-map.ts'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { AuditEntry } from '../base/records.ts'
import type { Store } from '../store/store.ts'
import type { Page, PageRequest } from '../store/store-values.ts'

export interface AuditParts {
  readonly store: Pick<Store, 'appendAudit' | 'listAudit'>
  readonly metrics: Pick<Metrics, 'auditErrors'>
  readonly log: Logger
  readonly now: Now
  /** Number of entries kept of successes, and as many of failed attempts, over all tenants. */
  readonly keep: number
}

/** A finished operation. The log adds an id and the time. */
export type NewAuditEntry = Omit<AuditEntry, 'id' | 'at' | 'count' | 'lastAt'>

/** Most entries that wait for the store. Further ones are dropped, counted, and logged. */
const MAX_PENDING = 10_000
/** Failed attempts of the same kind within this time of the first become one entry. */
const REPEAT_MS = 600_000
/** Memory for recent failures, among which repeated ones are found: about two thousand. */
const MAX_FAILURE_BYTES = 1024 * 1024
const FAILURE_BYTES = 400

/** An entry to be stored. It may still change while it waits. */
interface Draft {
  entry: AuditEntry
  isWaiting: boolean
}

export class Audit {
  readonly #parts: AuditParts
  readonly #waiting = new FairBudget(MAX_PENDING)
  #failures: FairMap<Draft>
  #last: Promise<void> = Promise.resolve()

  constructor(parts: AuditParts) {
    this.#parts = parts
    this.#failures = this.#noFailures()
  }

  /** Queues an entry and returns at once. Entries are stored in call order. */
  record(note: NewAuditEntry): void {
    if (note.outcome === 'ok') this.#queue(this.#draftOf(note))
    else this.#recordFailure(note)
    // Nothing of an erased tenant may be stored again with a repeated failure.
    if (note.action === 'erase') this.#failures = this.#noFailures()
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

  #draftOf(note: NewAuditEntry): Draft {
    return { entry: { ...note, id: randomId(), at: this.#parts.now() }, isWaiting: false }
  }

  #recordFailure(note: NewAuditEntry): void {
    const { tenant, actor, action, target, name, outcome } = note
    const key = JSON.stringify([tenant, actor, action, target, name, outcome])
    const now = this.#parts.now()
    let draft = this.#failures.get(key)
    if (draft === undefined || now - draft.entry.at > REPEAT_MS) {
      draft = this.#draftOf(note)
      this.#failures.set(tenant, key, draft, FAILURE_BYTES + 4 * key.length)
    } else {
      draft.entry = { ...draft.entry, count: (draft.entry.count ?? 1) + 1, lastAt: now }
    }
    if (!draft.isWaiting) this.#queue(draft)
  }

  #noFailures(): FairMap<Draft> {
    return new FairMap({ maxWeight: MAX_FAILURE_BYTES, idleMs: REPEAT_MS, now: this.#parts.now })
  }

  #queue(draft: Draft): void {
    if (!this.#waiting.change(draft.entry.tenant, 0, 1)) {
      this.#logLost(draft.entry, 'too many entries wait for the store')
      return
    }
    draft.isWaiting = true
    this.#last = this.#last.then(() => this.#append(draft))
  }

  async #append(draft: Draft): Promise<void> {
    const { entry } = draft
    draft.isWaiting = false
    try {
      await this.#parts.store.appendAudit(entry, this.#parts.keep)
    } catch (thrown) {
      this.#logLost(entry, toCwmError(thrown).code.toLowerCase())
    } finally {
      this.#waiting.change(entry.tenant, 1, 0)
    }
  }

  #logLost(entry: AuditEntry, why: string): void {
    const { metrics, log } = this.#parts
    metrics.auditErrors.inc()
    log.error({ audit: entry, why }, 'audit entry not stored; this log line is its only record')
  }
}
