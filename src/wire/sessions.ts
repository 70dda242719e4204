// Sessions: the response, and the lookup of an agent's own session.

import { z } from 'zod'
import { toolNames } from '../base/tool-names.ts'
import { dialectNames } from '../dialects/index.ts'
import { sessionSorts, sessionStates, sortOrders } from './enums.ts'
import { countedPageQuery } from './lists.ts'
import { thawReceiptSchema } from './receipts.ts'
import { count, time } from './scalars.ts'

export const sessionSchema = z
  .object({
    id: z.string(),
    named: z.boolean().describe('Whether a client named it; if not, it is recognized by its history'),
    base_window: z.string().optional().describe("The window whose messages precede the session's own"),
    model: z.string().optional(),
    dialect: z.enum(dialectNames).optional(),
    created_at: time,
    last_turn_at: time,
    turns: z.number().int(),
    usage: z
      .object({
        prompt_tokens: count,
        completion_tokens: count,
        total_tokens: count,
        cached_tokens: count.nullable(),
      })
      .optional()
      .describe('Usage of the last finished turn'),
    limit: count.optional().describe("The model's context limit"),
    auto_window: z.string().optional().describe('The newest window that was frozen automatically near the limit'),
    rollover: z
      .object({
        window: z.string().describe('Window with the complete conversation'),
        messages: z.number().int().describe('Number of messages left out'),
        tag: z.string().describe('Tag of that window; the same messages give the same tag on any proxy'),
        at: time,
      })
      .optional()
      .describe('Where its prompts are cut, if they are'),
    truncation: z
      .object({ prompt_tokens: count, completion_tokens: count, limit: count, streamed: z.boolean(), at: time })
      .optional()
      .describe('Present if the context limit cut the answer of the last finished turn'),
    prefix_break: z
      .object({
        cause: z
          .enum(['message', 'tools', 'template', 'reply', 'model', 'evicted', 'unknown'])
          .describe('Which part of the prompt differs from the previous one; `evicted`: none does'),
        message: z.number().int().optional().describe('Index of the first message that differs'),
        field: z.string().optional(),
        offset: z.number().int().optional().describe('Byte offset of the first difference in that field'),
        cached_tokens: count,
        expected_tokens: count,
        at: time,
      })
      .optional()
      .describe('Why the last turn was cold although it should have been warm'),
    thaw_loss: z
      .object({
        cause: z
          .enum(['moved', 'evicted', 'unknown'])
          .describe(
            '`moved`: another engine served the turn than the thaw warmed; `evicted`: the same engine, whose caches lost it; `unknown`: a router chose the engine',
          ),
        cached_tokens: count,
        expected_tokens: count.describe('Tokens that the thaw had warmed, in whole chunks'),
        at: time,
      })
      .optional()
      .describe('Present if the first turn after the last thaw did not find the KV that the thaw had warmed'),
    freezable: z
      .boolean()
      .optional()
      .describe(
        'Whether its last turn can be frozen now: it is retained, and no other window was thawed into the session since',
      ),
    // Not with `describe`, which makes a copy: OpenAPI would then repeat the whole schema instead of referring to it.
    thaw: thawReceiptSchema
      .optional()
      .register(z.globalRegistry, { description: 'Receipt of the last thaw into this session' }),
  })
  .meta({ id: 'Session' })

export const sessionListQuery = countedPageQuery.extend({
  search: z.string().max(128).optional().describe('Text in the id or in the name of the base window, case-insensitive'),
  model: z.string().optional(),
  state: z
    .enum(sessionStates)
    .optional()
    .describe(
      '`recognized`: by its history, without a name; `thawed`: it is based on a window; `cold`: see `prefix_break`',
    ),
  base_window: z.string().optional().describe('Only sessions based on the window with this name'),
  sort: z
    .enum(sessionSorts)
    .default('last_turn')
    .describe('With another sort, another order or a filter, only the 10,000 most recent sessions are searched'),
  order: z.enum(sortOrders).default('desc'),
})

export const matchBody = z.strictObject({ tool: z.enum(toolNames), arguments: z.looseObject({}).default({}) })
export const matchSchema = z.object({ session_ids: z.array(z.string()) })

export type SessionJson = z.infer<typeof sessionSchema>
export type SessionListQuery = z.output<typeof sessionListQuery>
export type MatchBody = z.input<typeof matchBody>
export type MatchJson = z.infer<typeof matchSchema>
