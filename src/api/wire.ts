// REST's shapes: zod schemas with OpenAPI names, and the one translation from records to snake_case. Nothing else knows wire names.

import { z } from '@hono/zod-openapi'
import type {
  DeletionRecord,
  FreezeReceipt,
  PrefixBreak,
  SessionRecord,
  ThawReceipt,
  TierCounts,
  WindowRecord,
} from '../base/records.ts'
import { dialectNames, messageDialects } from '../dialects/index.ts'
import { cutTag } from '../limits/rollover.ts'
import type { Erasure } from '../windows/erase.ts'
import type { WindowView } from '../windows/windows.ts'

const time = z.iso.datetime()
const tokens = z.number().int().nonnegative()

export const errorSchema = z
  .object({
    error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string() }),
  })
  .openapi('Error')

const tiersSchema = z
  .object({
    total: z.number().int().describe('Whole chunks of the sequence'),
    l1: z.number().int().nullable().describe('Of these, seen in memory; null where nobody could tell'),
    l2: z.number().int().nullable().describe('Of these, seen behind memory'),
    backends: z.record(z.string(), z.number().int()).describe('Seen behind memory, by L2 adapter'),
  })
  .openapi('Tiers')

const warningsSchema = z.array(z.string()).describe('What fell short: an operator should look at it')
const notesSchema = z
  .array(z.string())
  .optional()
  .describe('What is normal and explains the figures; versions before this field had it in `warnings`')

export const freezeReceiptSchema = z
  .object({
    durability: z.enum(['l2', 'l1', 'unverified', 'text']),
    tokens: tokens.describe('Length of the frozen id sequence'),
    chunk_size: tokens.nullable(),
    chunks: tokens,
    restorable_tokens: tokens.describe('Tokens in whole chunks that were shown to exist'),
    tiers: tiersSchema,
    pinned: z.boolean(),
    cached_tokens: tokens.nullable().describe('What the warm call found in the cache'),
    computed_tokens: tokens.nullable().describe('What it had to compute'),
    ms: z.record(z.string(), z.number()),
    warnings: warningsSchema,
    notes: notesSchema,
  })
  .openapi('FreezeReceipt')

export const thawReceiptSchema = z
  .object({
    window: z.string(),
    session_id: z.string(),
    tokens,
    restored_tokens: tokens
      .nullable()
      .describe("The warm call's own cached_tokens; null when the engine does not report them"),
    recomputed_tokens: tokens.nullable(),
    tiers_before: tiersSchema,
    drift: z.boolean().describe('Template or tokenizer give other ids than at freeze'),
    ms: z.record(z.string(), z.number()),
    at: time,
    warnings: warningsSchema,
    notes: notesSchema,
  })
  .openapi('ThawReceipt')

export const windowSchema = z
  .object({
    name: z.string(),
    state: z.enum(['pending', 'freezing', 'frozen', 'failed']),
    reason: z.string().optional().describe('Why the freeze failed'),
    origin: z
      .enum(['session', 'clone', 'content', 'import'])
      .optional()
      .describe('Frozen from a session, a clone of `parent`, made from given messages, or from an exported file'),
    session_id: z.string().optional(),
    parent: z
      .string()
      .optional()
      .describe('The window that the session had been thawed from, or that this is a clone of'),
    tags: z.array(z.string()).optional(),
    note: z.string().optional(),
    pin: z
      .enum(['none', 'pinning', 'pinned', 'released'])
      .optional()
      .describe('`released`: given back, because its time was over or room was needed; a thaw pins it again'),
    pin_until: time.optional(),
    bytes: z.number().int().optional().describe('Of messages and ids in the store'),
    thawed_at: time.optional(),
    thaws: z.number().int().optional(),
    dialect: z.enum(messageDialects).optional(),
    model: z.string().optional(),
    messages: z.number().int().optional().describe('How many messages it holds'),
    created_at: time.optional(),
    frozen_at: time.optional(),
    checksum: z.string().optional(),
    receipt: freezeReceiptSchema.optional(),
  })
  .openapi('Window')

export const sessionSchema = z
  .object({
    id: z.string(),
    named: z.boolean().describe('A client named it; otherwise the message prefix decides'),
    base_window: z.string().optional().describe("The window whose messages stand before the session's own"),
    model: z.string().optional(),
    dialect: z.enum(dialectNames).optional(),
    created_at: time,
    last_turn_at: time,
    turns: z.number().int(),
    usage: z
      .object({
        prompt_tokens: tokens,
        completion_tokens: tokens,
        total_tokens: tokens,
        cached_tokens: tokens.nullable(),
      })
      .optional()
      .describe('Of the last finished turn'),
    limit: tokens.optional().describe("The model's context limit"),
    auto_window: z.string().optional().describe('The newest window that was frozen of it near the limit'),
    rollover: z
      .object({
        window: z.string().describe('Holds the whole'),
        messages: z.number().int().describe('How many messages are left out'),
        tag: z.string().describe('Tag of the window; the same for the same messages on any proxy'),
        at: time,
      })
      .optional()
      .describe('Its prompts are cut: where'),
    truncation: z
      .object({ prompt_tokens: tokens, completion_tokens: tokens, limit: tokens, streamed: z.boolean(), at: time })
      .optional()
      .describe("The last finished turn's answer was cut by the context limit"),
    prefix_break: z
      .object({
        cause: z
          .enum(['message', 'tools', 'template', 'reply', 'model', 'evicted', 'unknown'])
          .describe('What of the prompt differs from the last one; `evicted`: nothing does'),
        message: z.number().int().optional().describe('Index of the first message that differs'),
        field: z.string().optional(),
        offset: z.number().int().optional().describe('Bytes of that field up to the first difference'),
        cached_tokens: tokens,
        expected_tokens: tokens,
        at: time,
      })
      .optional()
      .describe('Why the last turn was cold that should have been warm'),
    freezable: z.boolean().optional().describe('Its last turn is at hand, so that it can be frozen now'),
    thaw: thawReceiptSchema.optional().describe('Of the last thaw into it'),
  })
  .openapi('Session')

const chunks = z.number().int().nonnegative()

export const deletionSchema = z
  .object({
    id: z.string(),
    kind: z.enum(['window', 'session']),
    name: z.string().describe("The window's name, or the session's id"),
    state: z.enum(['open', 'done']).describe('`open`: it is tried again in the background'),
    at: time,
    deleted_chunks: chunks,
    residual_chunks: chunks.nullable().describe('Still there; null where nobody could tell'),
    kept_chunks: chunks.describe('Of it that stay because others hold them'),
    kept_for: z.array(z.enum(['session', 'window', 'isolation'])),
    unpinned: z.boolean().nullable().describe('Its pin was given back; null where it held none'),
    lineage_retired: z.boolean().describe('Nothing holds its KV space any more: its salt is never used again'),
    engine: z
      .literal('until_evicted')
      .describe("The engine's own cache cannot be told to forget; nobody can reach what it holds without the salt"),
    ms: z.record(z.string(), z.number()),
    warnings: z.array(z.string()),
  })
  .openapi('Deletion')

export const erasureSchema = z
  .object({
    windows: z.number().int(),
    sessions: z.number().int(),
    deleted_chunks: chunks,
    residual_chunks: chunks.nullable(),
    lineages_retired: z.number().int(),
    open: z.array(z.string()).describe('Ids of deletes that are tried again in the background'),
    engine: z.literal('until_evicted'),
    ms: z.number(),
  })
  .openapi('Erasure')

/** What people say of a window. */
export const labels = {
  tags: z
    .array(z.string().regex(/^[\x21-\x7e]{1,64}$/, 'a tag is 1 to 64 visible ASCII characters'))
    .max(32)
    .optional(),
  note: z.string().max(4096).optional(),
}

export const labelsSchema = z.object(labels)

type Wire<T extends z.ZodType> = z.infer<T>

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

function tiersToWire({ total, l1, l2, backends }: TierCounts): Wire<typeof tiersSchema> {
  return { total, l1, l2, backends: { ...backends } }
}

export function freezeReceiptToWire(receipt: FreezeReceipt): Wire<typeof freezeReceiptSchema> {
  return {
    durability: receipt.durability,
    tokens: receipt.tokens,
    chunk_size: receipt.chunkSize,
    chunks: receipt.chunks,
    restorable_tokens: receipt.restorableTokens,
    tiers: tiersToWire(receipt.tiers),
    pinned: receipt.pinned,
    cached_tokens: receipt.cachedTokens,
    computed_tokens: receipt.computedTokens,
    ms: { ...receipt.ms },
    warnings: [...receipt.warnings],
    notes: [...(receipt.notes ?? [])],
  }
}

export function thawReceiptToWire(receipt: ThawReceipt): Wire<typeof thawReceiptSchema> {
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

/** Lineage and keys stay inside: they are of no use to a tenant. */
export function windowToWire(view: WindowView): Wire<typeof windowSchema> {
  if (view.state === 'pending') return { name: view.name, state: 'pending' }
  const record: WindowRecord = view
  return {
    name: record.name,
    state: record.state,
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    origin: record.origin,
    ...(record.sessionId === undefined ? {} : { session_id: record.sessionId }),
    ...(record.parent === undefined ? {} : { parent: record.parent }),
    tags: [...record.tags],
    ...(record.note === undefined ? {} : { note: record.note }),
    pin: record.pin,
    ...(record.pinUntil === undefined ? {} : { pin_until: iso(record.pinUntil) }),
    bytes: record.bytes,
    ...(record.thawedAt === undefined ? {} : { thawed_at: iso(record.thawedAt) }),
    ...(record.thaws === undefined ? {} : { thaws: record.thaws }),
    dialect: record.dialect,
    model: record.model,
    messages: record.messageCount,
    created_at: iso(record.createdAt),
    ...(record.frozenAt === undefined ? {} : { frozen_at: iso(record.frozenAt) }),
    ...(record.checksum === undefined ? {} : { checksum: record.checksum }),
    ...(record.receipt === undefined ? {} : { receipt: freezeReceiptToWire(record.receipt) }),
  }
}

export function sessionToWire(record: SessionRecord, freezable?: boolean): Wire<typeof sessionSchema> {
  const { usage } = record
  return {
    id: record.id,
    named: record.named,
    ...(record.baseWindow === undefined ? {} : { base_window: record.baseWindow }),
    ...(record.model === undefined ? {} : { model: record.model }),
    ...(record.dialect === undefined ? {} : { dialect: record.dialect }),
    created_at: iso(record.createdAt),
    last_turn_at: iso(record.lastTurnAt),
    turns: record.turns,
    ...(usage === undefined
      ? {}
      : {
          usage: {
            prompt_tokens: usage.promptTokens,
            completion_tokens: usage.completionTokens,
            total_tokens: usage.totalTokens,
            cached_tokens: usage.cachedTokens ?? null,
          },
        }),
    ...(record.limit === undefined ? {} : { limit: record.limit }),
    ...nearLimitToWire(record),
    ...(freezable === undefined ? {} : { freezable }),
    ...(record.thaw === undefined ? {} : { thaw: thawReceiptToWire(record.thaw) }),
  }
}

function nearLimitToWire({ auto, rollover, truncation, prefixBreak }: SessionRecord): NearLimitWire {
  return {
    ...(auto === undefined ? {} : { auto_window: auto.window }),
    ...(rollover === undefined
      ? {}
      : {
          rollover: {
            window: rollover.window,
            messages: rollover.messages,
            tag: cutTag(rollover.cut),
            at: iso(rollover.at),
          },
        }),
    ...(truncation === undefined
      ? {}
      : {
          truncation: {
            prompt_tokens: truncation.promptTokens,
            completion_tokens: truncation.completionTokens,
            limit: truncation.limit,
            streamed: truncation.streamed,
            at: iso(truncation.at),
          },
        }),
    ...(prefixBreak === undefined ? {} : { prefix_break: prefixBreakToWire(prefixBreak) }),
  }
}

type NearLimitWire = Pick<Wire<typeof sessionSchema>, 'auto_window' | 'rollover' | 'truncation' | 'prefix_break'>

function prefixBreakToWire({ at, cachedTokens, expectedTokens, ...where }: PrefixBreak) {
  return { ...where, cached_tokens: cachedTokens, expected_tokens: expectedTokens, at: iso(at) }
}

export function deletionToWire(record: DeletionRecord): Wire<typeof deletionSchema> {
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
    unpinned: receipt?.unpinned ?? null,
    lineage_retired: receipt?.lineageRetired ?? false,
    engine: 'until_evicted',
    ms: { ...receipt?.ms },
    warnings: [...(receipt?.warnings ?? [])],
  }
}

export function erasureToWire(erasure: Erasure): Wire<typeof erasureSchema> {
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
