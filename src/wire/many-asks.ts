// Questions to many windows: the request, its events, and the receipt of the whole.

import { z } from 'zod'
import { askReceiptSchema, askUsageSchema, questionText } from './asks.ts'
import { errorSchema } from './error.ts'
import { count } from './scalars.ts'

/** Windows of one question. */
export const MAX_WINDOWS = 1_000
const MAX_PARALLEL = 64
export const MAX_DEADLINE_MS = 86_400_000

const chosen = z
  .strictObject({
    names: z
      .array(z.string().min(1))
      .min(1)
      .max(MAX_WINDOWS)
      .optional()
      .describe('Windows by name; one that does not exist fails alone'),
    tag: z.string().min(1).optional().describe('All frozen windows with this tag'),
    search: z.string().min(1).optional().describe('All frozen windows with this text in their name'),
  })
  .refine(({ names, tag, search }) => (names === undefined) !== (tag === undefined && search === undefined), {
    message: 'give either names, or tag, search, or both tag and search',
  })

export const manyAskBody = z.strictObject({
  question: questionText.describe('Sent as the next user message of each window'),
  instructions: z.string().min(1).optional().describe('How to answer; sent before the question'),
  windows: chosen.describe(`Which windows; at most ${MAX_WINDOWS}`),
  select: z
    .strictObject({ text: z.int().min(1).max(MAX_WINDOWS) })
    .optional()
    .describe('Ask only the windows whose passages fit the question best (BM25), at most `text` of them'),
  parallel: z
    .int()
    .min(1)
    .max(MAX_PARALLEL)
    .optional()
    .describe(
      "Windows asked at once; at most as many as the tenant may have requests in flight. Default: as many as fit into the engine's cache, with a quarter of it left for chats",
    ),
  max_tokens: z.int().min(1).optional().describe("Maximum tokens of each window's answer, and of the reduction"),
  temperature: z.number().min(0).max(2).optional().describe("Default: the engine's"),
  budget_tokens: z
    .int()
    .min(1)
    .optional()
    .describe(
      'Maximum tokens to compute, estimated before each window is asked. Windows that exceed it fail with `ask_budget_used_up`',
    ),
  reduce: z
    .enum(['none', 'best', 'synthesize'])
    .default('none')
    .describe(
      '`best`: the best answer verbatim, chosen by the model. `synthesize`: one answer, written from all of them',
    ),
  reduce_model: z.string().min(1).optional().describe('Served name. Default: the model of most of the windows'),
  deadline_ms: z
    .int()
    .min(1)
    .max(MAX_DEADLINE_MS)
    .optional()
    .describe(
      'Windows that have not answered by then fail with `ask_deadline`; the answers of the others are reduced afterwards. Bounds the selection too, not the reduction',
    ),
  stream: z.boolean().default(true).describe('Server-sent events. `false`: one JSON object at the end'),
})

const passage = z
  .object({ text: z.string(), message: count.describe("Index of the window's message") })
  .nullable()
  .describe('The passage of the window that fits the answer best')

export const answeredWindowSchema = z
  .object({
    window: z.string(),
    answer: z.string().nullable().describe('Null: the window does not contain the answer'),
    passage,
    usage: askUsageSchema,
    receipt: askReceiptSchema,
  })
  .meta({ id: 'AnsweredWindow' })

export const failedWindowSchema = z
  .object({ window: z.string(), error: errorSchema.shape.error })
  .meta({ id: 'FailedWindow' })

export const reductionSchema = z
  .object({
    answer: z.string().nullable().describe('Null: no window contains the answer'),
    window: z.string().nullable().describe('With `best`: the window that gave the answer'),
    usage: askUsageSchema.describe('The sum over all calls'),
    finish_reason: z.string().nullable(),
  })
  .meta({ id: 'Reduction' })

export const manyReceiptSchema = z
  .object({
    windows: count.describe('Windows of the question, including those that failed'),
    answered: count,
    not_found: count.describe('Windows that do not contain the answer'),
    failed: count,
    parallel: count,
    restored_tokens: count.nullable().describe('Sum over the answered windows; null if an engine does not report it'),
    computed_tokens: count.nullable(),
    prompt_tokens: count
      .nullable()
      .describe('Tokens of all prompts, which the engine would have to compute without KV'),
    completion_tokens: count.nullable(),
    budget: z
      .object({
        tokens: count,
        estimated_tokens: count.describe('Sum of the estimates of the windows that were asked'),
        stopped: count.describe('Windows that were not asked, because the budget was used up'),
      })
      .nullable(),
    reduction: z.object({
      model: z.string().nullable(),
      rounds: count.describe("Above 1: the answers exceeded the model's context limit"),
      calls: count,
      prompt_tokens: count.nullable(),
      completion_tokens: count.nullable(),
    }),
    ms: z.number(),
    warnings: z.array(z.string()),
    notes: z.array(z.string()),
  })
  .meta({ id: 'ManyReceipt' })

export const manyAnswerSchema = z
  .object({
    answers: z.array(answeredWindowSchema),
    failed: z.array(failedWindowSchema),
    reduction: reductionSchema.nullable(),
    reduction_error: errorSchema.shape.error.nullable().describe("The windows' answers remain valid"),
    receipt: manyReceiptSchema,
  })
  .meta({ id: 'ManyAnswer' })

/** The events of a stream by name, each with its data. The last one is `receipt`, or `error` if the whole question failed. */
export interface ManyAskEvents {
  readonly started: { readonly windows: number; readonly parallel: number }
  readonly window: AnsweredWindowJson
  readonly window_error: FailedWindowJson
  readonly text: { readonly text: string }
  readonly reduction: ReductionJson
  readonly reduction_error: { readonly error: FailedWindowJson['error'] }
  readonly receipt: ManyReceiptJson
}

export type ManyAskBody = z.input<typeof manyAskBody>
export type AnsweredWindowJson = z.infer<typeof answeredWindowSchema>
export type FailedWindowJson = z.infer<typeof failedWindowSchema>
export type ReductionJson = z.infer<typeof reductionSchema>
export type ManyReceiptJson = z.infer<typeof manyReceiptSchema>
export type ManyAnswerJson = z.infer<typeof manyAnswerSchema>
