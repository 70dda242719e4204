// Sessions: what is answered of one, and how an agent's own is found.

import { z } from 'zod'
import { toolNames } from '../base/tool-names.ts'
import { dialectNames } from '../dialects/index.ts'
import { thawReceiptSchema } from './receipts.ts'
import { count, time } from './scalars.ts'

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
        prompt_tokens: count,
        completion_tokens: count,
        total_tokens: count,
        cached_tokens: count.nullable(),
      })
      .optional()
      .describe('Of the last finished turn'),
    limit: count.optional().describe("The model's context limit"),
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
      .object({ prompt_tokens: count, completion_tokens: count, limit: count, streamed: z.boolean(), at: time })
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
        cached_tokens: count,
        expected_tokens: count,
        at: time,
      })
      .optional()
      .describe('Why the last turn was cold that should have been warm'),
    freezable: z.boolean().optional().describe('Its last turn is at hand, so that it can be frozen now'),
    // Not by `describe`, which makes a copy: OpenAPI would then repeat the whole shape in place of its name.
    thaw: thawReceiptSchema.optional().register(z.globalRegistry, { description: 'Of the last thaw into it' }),
  })
  .meta({ id: 'Session' })

export const matchBody = z.strictObject({ tool: z.enum(toolNames), arguments: z.looseObject({}).default({}) })
export const matchSchema = z.object({ session_ids: z.array(z.string()) })

export type SessionJson = z.infer<typeof sessionSchema>
export type MatchBody = z.input<typeof matchBody>
export type MatchJson = z.infer<typeof matchSchema>
