// Receipts of freezes and thaws.

import { z } from 'zod'
import { count, stepMs, time } from './scalars.ts'

export const tiersSchema = z
  .object({
    total: z.number().int().describe('Whole chunks in the sequence'),
    l1: z.number().int().nullable().describe('Chunks seen in memory; null if unknown'),
    l2: z.number().int().nullable().describe('Chunks seen behind memory; null if unknown'),
    backends: z.record(z.string(), z.number().int()).describe('Chunks seen behind memory, by L2 adapter'),
  })
  .meta({ id: 'Tiers' })

const remarks = {
  warnings: z.array(z.string()).describe('Problems that an operator should look at'),
  notes: z
    .array(z.string())
    .optional()
    .describe('Normal conditions that explain the figures. Older versions reported these in `warnings`'),
}

export const freezeReceiptSchema = z
  .object({
    durability: z.enum(['l2', 'l1', 'unverified', 'text']),
    tokens: count.describe('Length of the frozen sequence of token ids'),
    chunk_size: count.nullable(),
    chunks: count,
    restorable_tokens: count.describe('Tokens in whole chunks that were verified to exist'),
    tiers: tiersSchema,
    chunk_bytes: z
      .number()
      .nullable()
      .optional()
      .describe('Bytes of KV in one whole chunk, all ranks together; null if LMCache did not say'),
    l2_shared: z
      .boolean()
      .nullable()
      .optional()
      .describe(
        'Whether all LMCache servers share the L2 that holds it, so that every engine can load it. Null if unknown, or with a single server',
      ),
    pinned: z.boolean(),
    cached_tokens: count.nullable().describe('Tokens that the warm call found in the cache'),
    computed_tokens: count.nullable().describe('Tokens that it had to compute'),
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
      .describe('The `cached_tokens` of the warm call; null if the engine does not report it'),
    recomputed_tokens: count.nullable(),
    tiers_before: tiersSchema,
    drift: z.boolean().describe('Whether template or tokenizer now produce other token ids than at the freeze'),
    ms: stepMs,
    at: time,
    ...remarks,
  })
  .meta({ id: 'ThawReceipt' })

/** Receipt of a thaw that only loads chunks into LMCache's memory and binds no session. */
export const prefetchReceiptSchema = z.object({
  window: z.string(),
  to: z.literal('l1'),
  found_chunks: z.number().int().nullable(),
  total_chunks: z.number().int(),
  ms: z.number(),
  warnings: z.array(z.string()).optional().describe('Problems that an operator should look at'),
})

export type TiersJson = z.infer<typeof tiersSchema>
export type FreezeReceiptJson = z.infer<typeof freezeReceiptSchema>
export type ThawReceiptJson = z.infer<typeof thawReceiptSchema>
export type PrefetchReceiptJson = z.infer<typeof prefetchReceiptSchema>
/** The messages of a receipt. */
export type RemarksJson = Pick<FreezeReceiptJson, 'warnings' | 'notes'>
