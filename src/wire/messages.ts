// The messages of a window, or of a session's last turn, for people to read.

import { z } from 'zod'
import { count } from './scalars.ts'

export const messagesQuery = z.object({
  offset: z.coerce.number().int().min(0).default(0).describe('Messages to skip; with `search`, of those that match'),
  limit: z.coerce.number().int().min(1).max(100).default(20).describe('Messages per page, at most'),
  search: z.string().min(1).max(256).optional().describe('Only messages that contain this text, case-insensitive'),
  max_chars: z.coerce
    .number()
    .int()
    .min(200)
    .max(1_000_000)
    .default(4_000)
    .describe('Characters of each message; a longer one is cut, and has `is_cut`'),
})

export const readablePartSchema = z.object({
  kind: z.enum(['text', 'reasoning', 'tool_call', 'tool_result', 'media', 'other']),
  text: z.string().describe('Empty for media, except for the address of a file that is elsewhere'),
  from: count.optional().describe('Characters left out before this text'),
  name: z.string().optional().describe('Of the tool, or the type of the media'),
  call_id: z.string().optional(),
  bytes: count.optional().describe('Size of media in the message'),
})

export const readableMessageSchema = z.object({
  index: count.nullable().describe('Position among the messages, from 0; null for a system prompt beside them'),
  role: z.string(),
  chars: count.describe('Characters of the whole message'),
  is_cut: z.boolean(),
  parts: z.array(readablePartSchema),
})

export const messagesSchema = z
  .object({
    of: z.enum(['window', 'session']),
    name: z.string().describe('Of the window, or the id of the session'),
    model: z.string(),
    dialect: z.string(),
    total: count.describe('Messages in all, or with `search` those that match'),
    offset: count,
    next_offset: count.nullable(),
    data: z.array(readableMessageSchema),
  })
  .meta({ id: 'Messages' })

export type MessagesQuery = z.output<typeof messagesQuery>
export type MessagesJson = z.infer<typeof messagesSchema>
export type ReadableMessageJson = z.infer<typeof readableMessageSchema>
export type ReadablePartJson = z.infer<typeof readablePartSchema>
