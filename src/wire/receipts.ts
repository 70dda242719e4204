// What freezes and thaws have proved.

import { z } from 'zod'
import { count, stepMs, time } from './scalars.ts'

const tiersSchema = z
  .object({
    total: z.number().int().describe('Whole chunks of the sequence'),
    l1: z.number().int().nullable().describe('Of these, seen in memory; null where nobody could tell'),
    l2: z.number().int().nullable().describe('Of these, seen behind memory'),
    backends: z.record(z.string(), z.number().int()).describe('Seen behind memory, by L2 adapter'),
  })
  .meta({ id: 'Tiers' })

const remarks = {
  warnings: z.array(z.string()).describe('What fell short: an operator should look at it'),
  notes: z
    .array(z.string())
    .optional()
    .describe('What is normal and explains the figures; versions before this field had it in `warnings`'),
}

export const freezeReceiptSchema = z
  .object({
    durability: z.enum(['l2', 'l1', 'unverified', 'text']),
    tokens: count.describe('Length of the frozen id sequence'),
    chunk_size: count.nullable(),
    chunks: count,
    restorable_tokens: count.describe('Tokens in whole chunks that were shown to exist'),
    tiers: tiersSchema,
    pinned: z.boolean(),
    cached_tokens: count.nullable().describe('What the warm call found in the cache'),
    computed_tokens: count.nullable().describe('What it had to compute'),
    ms: stepMs,
    ...remarks,
  })
  .meta({ id: 'FreezeReceipt' })

export const thawReceiptSchema = z
  .object({
    window: z.string(),
    session_id: z.string(),
    tokens: count,
    restored_tokens: count
      .nullable()
      .describe("The warm call's own cached_tokens; null when the engine does not report them"),
    recomputed_tokens: count.nullable(),
    tiers_before: tiersSchema,
    drift: z.boolean().describe('Template or tokenizer give other ids than at freeze'),
    ms: stepMs,
    at: time,
    ...remarks,
  })
  .meta({ id: 'ThawReceipt' })

/** Of a thaw that loads chunks into LMCache's memory and binds no session. */
export const prefetchReceiptSchema = z.object({
  window: z.string(),
  to: z.literal('l1'),
  found_chunks: z.number().int().nullable(),
  total_chunks: z.number().int(),
  ms: z.number(),
})

export type TiersJson = z.infer<typeof tiersSchema>
export type FreezeReceiptJson = z.infer<typeof freezeReceiptSchema>
export type ThawReceiptJson = z.infer<typeof thawReceiptSchema>
export type PrefetchReceiptJson = z.infer<typeof prefetchReceiptSchema>
/** What a receipt says in words. */
export type RemarksJson = Pick<FreezeReceiptJson, 'warnings' | 'notes'>
