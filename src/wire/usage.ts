// A report of the ledger: requests and tokens of a span, grouped.

import { z } from 'zod'
import { count, time } from './scalars.ts'

const instant = z.iso.datetime({ offset: true }).optional()

/** What a report may be grouped by. */
export const usageDimensions = ['tenant', 'key', 'model', 'minute', 'hour', 'day'] as const
/** Only one of the times makes sense. */
const MAX_DIMENSIONS = 4

export const usageQuery = z.strictObject({
  from: instant.describe('Start of the span. Default: 24 hours before its end, or before now if that is earlier'),
  to: instant.describe('End of the span. Default: now'),
  by: z
    .preprocess(
      (value) => (typeof value === 'string' ? value.split(',') : value),
      z.array(z.enum(usageDimensions)).max(MAX_DIMENSIONS),
    )
    .optional()
    .meta({
      description:
        'Comma-separated: tenant, key, model, and one of minute, hour, and day. Default: model; for the operator, tenant',
      type: 'string',
      example: 'model,day',
    }),
  format: z.enum(['json', 'csv']).optional().describe('Default: json, or csv if `Accept` is text/csv'),
})

const tokens = count.nullable()

export const usageLineSchema = z.object({
  at: time.optional().describe('When the minute, hour, or day (UTC) begins'),
  tenant: z.string().optional(),
  key: z.string().optional().describe('The name of the key; `key` if keys have no names, `cwm` for cwm itself'),
  model: z.string().optional().describe('The served model; `other` for a name that no engine serves'),
  requests: count.describe('Requests that ended with an answer or an error. A question to a window counts as one'),
  errors: count.describe('Those with an error'),
  aborted: count.describe(
    'Requests whose client disconnected first. They are not in `requests`, and their tokens are unknown',
  ),
  unmetered: count.describe(
    'Successful requests whose token counts cwm could not read. They are missing from all sums of tokens',
  ),
  cache_unreported: count.describe(
    'Requests for which the engine did not report cached tokens. They are missing from cached and computed tokens',
  ),
  prompt_tokens: tokens,
  cached_tokens: tokens.describe('The part of the prompts that the engine had cached'),
  computed_tokens: tokens.describe('The rest of the prompts'),
  completion_tokens: tokens,
  restored_tokens: tokens.describe(
    'Loaded by thaws (cached in their warm calls) and by questions to windows. Null if no request reported it',
  ),
  warmed_tokens: count.describe('Computed by the warm calls of freezes and thaws, in addition to all prompts'),
  repeats: count.describe('First turns of sessions that started with the same prefix as another session of the tenant'),
  repeated_tokens: count.describe(
    'The price of isolation, as an estimate: tokens of these prefixes that were computed again',
  ),
  longest_queue_ms: count.describe('Longest wait of a request for a slot'),
  first_token: z
    .object({
      count,
      mean_ms: z.number().nullable(),
      buckets: z.array(z.object({ le_ms: z.number().nullable().describe('Null: no bound'), count })),
    })
    .describe('Times from dispatch to the first byte of the answer. Buckets are not cumulative'),
})

export const usageSchema = z
  .object({
    from: time,
    to: time,
    unit: z.enum(['minute', 'hour']).describe('What `from` and `to` are rounded to'),
    by: z.array(z.enum(usageDimensions)),
    data: z.array(usageLineSchema),
    advice: z
      .string()
      .nullable()
      .describe('What to do about the price of isolation. Null if it is under a tenth of the computed tokens'),
  })
  .meta({ id: 'Usage' })

export type UsageLineJson = z.infer<typeof usageLineSchema>
export type UsageJson = z.infer<typeof usageSchema>
