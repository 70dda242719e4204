// Questions to one window: the request, the answer, and its receipt.

import { z } from 'zod'
import { tiersSchema } from './receipts.ts'
import { count, stepMs } from './scalars.ts'

/** The model would answer a blank one at random. */
export const questionText = z.string().refine((text) => text.trim() !== '', 'must not be empty')

export const askBody = z.strictObject({
  question: questionText.describe('Sent as the next user message of the window'),
  instructions: z.string().min(1).optional().describe('How to answer; sent before the question'),
  max_tokens: z
    .int()
    .min(1)
    .optional()
    .describe('Maximum tokens of the answer, including reasoning. Default: 1024, or what the context limit leaves'),
  temperature: z.number().min(0).max(2).optional().describe("Default: the engine's"),
  stream: z
    .boolean()
    .default(false)
    .describe('Server-sent events: `text` for each piece of the answer, then `answer` with all of it, or `error`'),
})

export const askReceiptSchema = z
  .object({
    restored_tokens: count.nullable().describe('Prompt tokens that were cached; null if the engine does not report it'),
    computed_tokens: count.nullable().describe('Prompt tokens that the engine computed'),
    reasoning_tokens: count.nullable().describe('Tokens of the answer that were reasoning; null if not reported'),
    tiers_before: tiersSchema,
    finish_reason: z
      .string()
      .nullable()
      .describe("The engine's own value; `length` or similar means that the answer is cut off"),
    drift: z
      .boolean()
      .nullable()
      .describe("Whether the prompt no longer begins with the window's token ids; null if they are unknown"),
    first_token_ms: z.number().nullable().describe('From the dispatch to the first text of the answer'),
    compute_ms: z
      .number()
      .nullable()
      .describe(
        'Time in which this engine would have computed the whole prompt, at the rate that cwm has measured; null until it has measured one. If `first_token_ms` is clearly higher, a note says so',
      ),
    branch_kv: z
      .literal('until_evicted')
      .describe("The question's own KV is not deleted: it stays until it is evicted"),
    ms: stepMs,
    warnings: z.array(z.string()).describe('Problems that an operator should look at'),
    notes: z.array(z.string()).describe('Normal conditions that explain the figures'),
  })
  .meta({ id: 'AskReceipt' })

export const askUsageSchema = z
  .object({ prompt_tokens: count, completion_tokens: count, total_tokens: count, cached_tokens: count.nullable() })
  .nullable()

export const windowAnswerSchema = z
  .object({
    window: z.string(),
    answer: z.string(),
    usage: askUsageSchema,
    receipt: askReceiptSchema,
  })
  .meta({ id: 'WindowAnswer' })

export type AskBody = z.input<typeof askBody>
export type WindowAnswerJson = z.infer<typeof windowAnswerSchema>
