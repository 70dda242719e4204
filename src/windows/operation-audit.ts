// Records the outcome of each operation on windows and sessions in the audit log, and emits an event for what it changed. Entries hold
// names and numbers only.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { toCwmError } from '../base/errors.ts'
import type { CwmEvent, EventSink } from '../base/events.ts'
import type { AuditEntry, ThawReceipt, WindowRecord } from '../base/records.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { NewAuditEntry } from '../journal/audit.ts'

/** Credentials, time limits, and the caller. */
export interface OperationOptions extends CallOptions {
  /** The API key that made the request; `cwm` for cwm's own operations. */
  readonly actor: string
}

export interface AuditLog {
  record(note: NewAuditEntry): void
}

/** Where operations are recorded. */
export interface OperationLogs {
  readonly audit: AuditLog
  readonly events: EventSink
}

interface Outcome {
  readonly outcome?: string
  readonly receipt?: Exclude<AuditEntry['receipt'], undefined>
  readonly event?: Omit<CwmEvent, 'tenant' | 'at'>
}

type Operation = Omit<NewAuditEntry, 'outcome' | 'receipt'>

/** Runs the operation and records its outcome. Rethrows what it throws. */
export async function runAudited<T>(
  { audit, events }: OperationLogs,
  operation: Operation,
  work: () => Promise<T>,
  outcomeOf: (result: T) => Outcome = () => ({}),
): Promise<T> {
  try {
    const result = await work()
    const { event, ...outcome } = outcomeOf(result)
    audit.record({ ...operation, outcome: 'ok', ...outcome })
    if (event !== undefined) events.emit({ tenant: operation.tenant, ...event })
    return result
  } catch (thrown) {
    audit.record({ ...operation, outcome: toCwmError(thrown).code.toLowerCase() })
    throw thrown
  }
}

export function windowOutcome(record: WindowRecord): Outcome {
  const { state, receipt } = record
  const event = freezeEvent(record)
  if (receipt === undefined) return { outcome: state, event }
  const { durability, tokens, restorableTokens, pinned } = receipt
  return {
    outcome: state === 'frozen' ? 'ok' : state,
    receipt: { durability, tokens, restorable_tokens: restorableTokens, pinned },
    event,
  }
}

/** The event for a finished freeze, whether `frozen` or `failed`. */
export function freezeEvent({
  name,
  sessionId,
  state,
  origin,
  receipt,
}: WindowRecord): Omit<CwmEvent, 'tenant' | 'at'> {
  return {
    kind: 'frozen',
    window: name,
    ...(sessionId === undefined ? {} : { session: sessionId }),
    details: {
      state,
      origin,
      ...(receipt === undefined
        ? {}
        : {
            durability: receipt.durability,
            tokens: receipt.tokens,
            restorable_tokens: receipt.restorableTokens,
            ms: receipt.ms.total ?? null,
          }),
    },
  }
}

export function thawOutcome(receipt: ThawReceipt): Outcome {
  const { window, sessionId, tokens, restoredTokens, recomputedTokens, drift, ms } = receipt
  const numbers = { tokens, restored_tokens: restoredTokens, recomputed_tokens: recomputedTokens, drift }
  return {
    receipt: numbers,
    event: { kind: 'thawed', window, session: sessionId, details: { ...numbers, ms: ms.total ?? null } },
  }
}

/** `done` is undefined if the item was already gone or is still in use. `session`: the session that the window was frozen from. */
export function deletionOutcome(done: DeletionRecord | undefined, why: string, session?: string): Outcome {
  if (done === undefined) return {}
  const { kind, id, name, state, receipt } = done
  const numbers = receipt && {
    ...(kind === 'sessions' ? { sessions: Number(name) } : {}),
    deleted_chunks: receipt.deletedChunks,
    residual_chunks: receipt.residualChunks,
    kept_chunks: receipt.keptChunks,
    lineage_retired: receipt.lineageRetired,
    ...(receipt.heldBy === undefined ? {} : { held_by: receipt.heldBy.count }),
  }
  return {
    ...(numbers && { receipt: numbers }),
    event: {
      kind: 'deleted',
      ...(session === undefined ? {} : { session }),
      ...(kind === 'sessions' ? {} : { [kind]: name }),
      details: { deletion_id: id, state, why, ...numbers },
    },
  }
}
