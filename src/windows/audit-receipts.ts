// What the audit log tells of a receipt: its numbers, by wire name. Warnings are words, and stay out.

import type { AuditEntry, DeletionReceipt, FreezeReceipt, ThawReceipt } from '../base/records.ts'

type Numbers = NonNullable<AuditEntry['receipt']>

export function freezeNumbers(receipt: FreezeReceipt): Numbers {
  return {
    durability: receipt.durability,
    tokens: receipt.tokens,
    restorable_tokens: receipt.restorableTokens,
    chunks: receipt.chunks,
    pinned: receipt.pinned,
  }
}

export function thawNumbers(receipt: ThawReceipt): Numbers {
  return {
    session_id: receipt.sessionId,
    tokens: receipt.tokens,
    restored_tokens: receipt.restoredTokens,
    recomputed_tokens: receipt.recomputedTokens,
    drift: receipt.drift,
  }
}

export function deletionNumbers(receipt: DeletionReceipt): Numbers {
  return {
    deleted_chunks: receipt.deletedChunks,
    residual_chunks: receipt.residualChunks,
    kept_chunks: receipt.keptChunks,
    unpinned: receipt.unpinned,
    lineage_retired: receipt.lineageRetired,
  }
}
