// Converts records to REST types. Undefined fields are left out of the JSON.

import type { DeletionRecord, DependentSessions } from '../base/deletion-records.ts'
import type {
  FreezeReceipt,
  PrefixBreak,
  Rollover,
  SessionRecord,
  ThawLoss,
  ThawReceipt,
  TierCounts,
  Truncation,
  Usage,
} from '../base/records.ts'
import { cutTag } from '../limits/rollover.ts'
import type { Page } from '../store/store-values.ts'
import type { Erasure } from '../windows/erase-tenant.ts'
import type { WindowView } from '../windows/windows.ts'
import type { DeletionJson, ErasureJson } from '../wire/deletions.ts'
import type { FreezeReceiptJson, ThawReceiptJson, TiersJson } from '../wire/receipts.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { WindowJson } from '../wire/windows.ts'

/** Milliseconds since the epoch in ISO 8601. */
export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** Applies `translate` unless the value is undefined. */
function optional<From, To>(value: From | undefined, translate: (value: From) => To): To | undefined {
  return value === undefined ? undefined : translate(value)
}

export function tiersToWire({ total, l1, l2, backends }: TierCounts): TiersJson {
  return { total, l1, l2, backends: { ...backends } }
}

function freezeReceiptToWire(receipt: FreezeReceipt): FreezeReceiptJson {
  return {
    durability: receipt.durability,
    tokens: receipt.tokens,
    chunk_size: receipt.chunkSize,
    chunks: receipt.chunks,
    restorable_tokens: receipt.restorableTokens,
    tiers: tiersToWire(receipt.tiers),
    chunk_bytes: receipt.chunkBytes ?? null,
    l2_shared: receipt.l2Shared ?? null,
    pinned: receipt.pinned,
    cached_tokens: receipt.cachedTokens,
    computed_tokens: receipt.computedTokens,
    ms: { ...receipt.ms },
    warnings: [...receipt.warnings],
    notes: [...(receipt.notes ?? [])],
  }
}

export function thawReceiptToWire(receipt: ThawReceipt): ThawReceiptJson {
  return {
    window: receipt.window,
    session_id: receipt.sessionId,
    tokens: receipt.tokens,
    restored_tokens: receipt.restoredTokens,
    recomputed_tokens: receipt.recomputedTokens,
    tiers_before: tiersToWire(receipt.tiersBefore),
    drift: receipt.drift,
    ms: { ...receipt.ms },
    at: iso(receipt.at),
    warnings: [...receipt.warnings],
    notes: [...(receipt.notes ?? [])],
  }
}

/** Leaves out lineage and keys, which are of no use to a tenant. */
export function windowToWire(view: WindowView): WindowJson {
  if (view.state === 'pending') return { name: view.name, state: 'pending' }
  return {
    name: view.name,
    state: view.state,
    reason: view.reason,
    origin: view.origin,
    session_id: view.sessionId,
    parent: view.parent,
    tags: [...view.tags],
    note: view.note,
    pin: view.pin,
    pin_until: optional(view.pinUntil, iso),
    bytes: view.bytes,
    thawed_at: optional(view.thawedAt, iso),
    thaws: view.thaws,
    dialect: view.dialect,
    model: view.model,
    messages: view.messageCount,
    created_at: iso(view.createdAt),
    frozen_at: optional(view.frozenAt, iso),
    checksum: view.checksum,
    receipt: optional(view.receipt, freezeReceiptToWire),
  }
}

/** `freezable` is given for single sessions but not in lists, because it requires a read of the store. */
export function sessionToWire(record: SessionRecord, freezable?: boolean): SessionJson {
  return {
    id: record.id,
    named: record.named,
    base_window: record.baseWindow,
    model: record.model,
    dialect: record.dialect,
    created_at: iso(record.createdAt),
    last_turn_at: iso(record.lastTurnAt),
    turns: record.turns,
    usage: optional(record.usage, usageToWire),
    limit: record.limit,
    auto_window: record.auto?.window,
    rollover: optional(record.rollover, rolloverToWire),
    truncation: optional(record.truncation, truncationToWire),
    prefix_break: optional(record.prefixBreak, prefixBreakToWire),
    thaw_loss: optional(record.thawLoss, thawLossToWire),
    freezable,
    thaw: optional(record.thaw, thawReceiptToWire),
  }
}

export function usageToWire(usage: Usage): NonNullable<SessionJson['usage']> {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.totalTokens,
    cached_tokens: usage.cachedTokens ?? null,
  }
}

function rolloverToWire({ window, messages, cut, at }: Rollover): NonNullable<SessionJson['rollover']> {
  return { window, messages, tag: cutTag(cut), at: iso(at) }
}

function truncationToWire(truncation: Truncation): NonNullable<SessionJson['truncation']> {
  return {
    prompt_tokens: truncation.promptTokens,
    completion_tokens: truncation.completionTokens,
    limit: truncation.limit,
    streamed: truncation.streamed,
    at: iso(truncation.at),
  }
}

function prefixBreakToWire({ at, cachedTokens, expectedTokens, ...where }: PrefixBreak) {
  return { ...where, cached_tokens: cachedTokens, expected_tokens: expectedTokens, at: iso(at) }
}

function thawLossToWire({ at, cause, cachedTokens, expectedTokens }: ThawLoss) {
  return { cause, cached_tokens: cachedTokens, expected_tokens: expectedTokens, at: iso(at) }
}

export function deletionToWire(record: DeletionRecord): DeletionJson {
  const { receipt } = record
  return {
    id: record.id,
    kind: record.kind,
    name: record.name,
    state: record.state,
    at: iso(record.at),
    deleted_chunks: receipt?.deletedChunks ?? 0,
    residual_chunks: receipt?.residualChunks ?? null,
    kept_chunks: receipt?.keptChunks ?? 0,
    kept_for: [...(receipt?.keptFor ?? [])],
    held_by: receipt?.heldBy === undefined ? null : dependentsToWire(receipt.heldBy),
    unpinned: receipt?.unpinned ?? null,
    lineage_retired: receipt?.lineageRetired ?? false,
    engine: 'until_evicted',
    ms: { ...receipt?.ms },
    warnings: [...(receipt?.warnings ?? [])],
  }
}

export function dependentsToWire({ count, sessions }: DependentSessions) {
  return { count, sessions: [...sessions] }
}

export function erasureToWire(erasure: Erasure): ErasureJson {
  return {
    windows: erasure.windows,
    sessions: erasure.sessions,
    deleted_chunks: erasure.deletedChunks,
    residual_chunks: erasure.residualChunks,
    lineages_retired: erasure.lineagesRetired,
    open: [...erasure.open],
    engine: 'until_evicted',
    ms: erasure.ms,
  }
}

/** A page of a list. */
export function pageToWire<T>(data: T[], nextCursor: string | undefined): { data: T[]; next_cursor?: string } {
  return nextCursor === undefined ? { data } : { data, next_cursor: nextCursor }
}

/** A page of a list that is read in both directions, with its counts if `total` is given. */
export function countedPageToWire<T>(
  data: T[],
  { nextCursor, previousCursor, before = 0 }: Pick<Page<unknown>, 'nextCursor' | 'previousCursor' | 'before'>,
  counts: { readonly total?: number; readonly isMinimum?: boolean; readonly examined?: number } = {},
) {
  const { total, isMinimum = false, examined } = counts
  return {
    ...pageToWire(data, nextCursor),
    ...(previousCursor === undefined ? {} : { previous_cursor: previousCursor }),
    ...(total === undefined ? {} : { first: data.length === 0 ? 0 : before + 1, total, total_is_minimum: isMinimum }),
    ...(examined === undefined ? {} : { examined }),
  }
}
