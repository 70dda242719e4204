// Writes each operation on windows and sessions into the audit log, however it ends. Names and numbers only.

import { toCwmError } from '../base/errors.ts'
import type { AuditEntry, DeletionReceipt, ThawReceipt, WindowRecord } from '../base/records.ts'
import type { AuditNote } from '../sessions/audit.ts'
import type { CallOptions } from '../upstream/engine.ts'

/** Credentials, patience, and who asks. */
export interface OperationOptions extends CallOptions {
  /** By which key it was asked; `cwm` for what cwm does by itself. */
  readonly actor: string
}

export interface AuditLog {
  record(note: AuditNote): void
}

interface Outcome {
  readonly outcome?: string
  readonly receipt?: Exclude<AuditEntry['receipt'], undefined>
}

type Operation = Omit<AuditNote, 'outcome' | 'receipt'>

/** Does the work and records how it ended. What it throws goes on. */
export async function audited<T>(
  log: AuditLog,
  operation: Operation,
  work: () => Promise<T>,
  outcomeOf: (result: T) => Outcome,
): Promise<T> {
  try {
    const result = await work()
    log.record({ ...operation, outcome: 'ok', ...outcomeOf(result) })
    return result
  } catch (thrown) {
    log.record({ ...operation, outcome: toCwmError(thrown).code.toLowerCase() })
    throw thrown
  }
}

export function windowOutcome({ state, receipt }: WindowRecord): Outcome {
  if (receipt === undefined) return { outcome: state }
  const { durability, tokens, restorableTokens, pinned } = receipt
  return {
    outcome: state === 'frozen' ? 'ok' : state,
    receipt: { durability, tokens, restorable_tokens: restorableTokens, pinned },
  }
}

export function thawOutcome({ tokens, restoredTokens, recomputedTokens, drift }: ThawReceipt): Outcome {
  return { receipt: { tokens, restored_tokens: restoredTokens, recomputed_tokens: recomputedTokens, drift } }
}

export function deletionOutcome(receipt: DeletionReceipt | undefined): Outcome {
  if (receipt === undefined) return {}
  const { deletedChunks, residualChunks, keptChunks, lineageRetired } = receipt
  return {
    receipt: {
      deleted_chunks: deletedChunks,
      residual_chunks: residualChunks,
      kept_chunks: keptChunks,
      lineage_retired: lineageRetired,
    },
  }
}
