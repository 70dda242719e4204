// Windows: the response, the list query, and the request bodies.

import { z } from 'zod'
import { messageDialects } from '../dialects/index.ts'
import { dependentSessions } from './dependent-sessions.ts'
import { pinStates, sortOrders, storedWindowStates, thawTargets, windowSorts } from './enums.ts'
import { countedPageQuery } from './lists.ts'
import { freezeReceiptSchema } from './receipts.ts'
import { time } from './scalars.ts'

export const windowSchema = z
  .object({
    name: z.string(),
    state: z.enum(['pending', ...storedWindowStates]),
    reason: z.string().optional().describe('Why the freeze failed'),
    origin: z
      .enum(['session', 'clone', 'content', 'import'])
      .optional()
      .describe(
        'Whether it was frozen from a session, cloned from `parent`, created from messages, or imported from a file',
      ),
    session_id: z.string().optional(),
    parent: z.string().optional().describe('The window that its session was thawed from, or that it was cloned from'),
    tags: z.array(z.string()).optional(),
    note: z.string().optional(),
    pin: z
      .enum(pinStates)
      .optional()
      .describe('`released`: it expired, or another pin needed the space; a thaw pins it again'),
    pin_until: time.optional(),
    bytes: z.number().int().optional().describe('Size of its messages and token ids in the store'),
    thawed_at: time.optional(),
    thaws: z.number().int().optional(),
    dialect: z.enum(messageDialects).optional(),
    model: z.string().optional(),
    messages: z.number().int().optional().describe('Number of messages'),
    created_at: time.optional(),
    frozen_at: time.optional(),
    checksum: z.string().optional(),
    receipt: freezeReceiptSchema.optional(),
    base_of: dependentSessions
      .optional()
      .describe(
        'The sessions based on it, which are those it was thawed into. Only in the answer about a single window',
      ),
  })
  .meta({ id: 'Window' })

/** A list in a query: `tag=a&tag=b`, or one value. At most as many as a window can have, because each is a condition in the store's query. */
const several = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(z.string()).max(32).optional(),
)
const instant = z.iso.datetime({ offset: true }).optional()

export const windowListQuery = countedPageQuery.extend({
  tag: several.describe('Only windows with this tag; if given several times, with all of them'),
  model: z.string().optional(),
  state: z.enum(storedWindowStates).optional(),
  pin: z.enum(pinStates).optional(),
  session_id: z.string().optional(),
  parent: z
    .string()
    .optional()
    .describe('Only windows cloned from this one, or frozen from a session that was thawed from it'),
  search: z.string().max(128).optional().describe('Text in the name, case-insensitive'),
  created_from: instant.describe('Created at or after this time'),
  created_before: instant,
  sort: z.enum(windowSorts).default('created'),
  order: z.enum(sortOrders).default('desc'),
})

export const showWindowQuery = z.object({
  wait_ms: z.coerce
    .number()
    .int()
    .min(0)
    .max(60_000)
    .default(0)
    .describe('How long to wait for a window that is pending or freezing, milliseconds'),
})

/** Labels that people give a window. */
const labels = {
  tags: z
    .array(z.string().regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 visible ASCII characters'))
    .max(32)
    .optional(),
  note: z.string().max(4096).optional(),
}

export const labelsSchema = z.object(labels)

export const freezeBody = z.strictObject({
  name: z.string(),
  session_id: z.string(),
  ...labels,
  wait: z.boolean().default(true).describe('Whether to answer when the freeze is done, or at once with 202'),
})

export const thawBody = z.strictObject({
  session_id: z.string().optional().describe('The session to thaw into. Default: a new one'),
  to: z
    .enum(thawTargets)
    .default('engine')
    .describe("`l1` only loads the chunks into LMCache's memory, and binds no session"),
  replace: z
    .boolean()
    .default(false)
    .describe(
      'Whether to thaw into a session that has turns of its own; its next turn then starts from this window. Otherwise, the answer for such a session is 409',
    ),
})

export const changeWindowBody = z.strictObject({
  ...labels,
  pinned: z.boolean().optional().describe('Whether LMCache keeps its chunks pinned'),
})

export const cloneBody = z.strictObject({
  name: z.string().describe('Name of the clone'),
  at: z.number().int().min(1).optional().describe('Number of messages to keep; whole exchanges only. Default: all'),
  ...labels,
})

export const contentBody = z
  .looseObject({
    model: z.string().min(1),
    dialect: z.enum(messageDialects).default('chat'),
    document: z.string().min(1).optional().describe('Text that becomes a single message, instead of `messages`'),
    document_role: z.enum(['system', 'user']).default('system'),
    cache_salt: z.string().max(128).optional(),
    ...labels,
  })
  .describe('Messages and the fields that shape the prompt (`tools`, `system`, …), as in a request of the dialect')

export const exportSchema = z.looseObject({ format: z.literal('cwm-window') })

export const importQuery = z.object({ name: z.string().optional().describe('Default: the name in the file') })
export const importBody = z.looseObject({ format: z.string() })
export const importSchema = z.object({
  window: windowSchema,
  drift: z
    .boolean()
    .nullable()
    .describe('Whether template or tokenizer here produce other token ids than those in the file; null if unknown'),
})

export type WindowJson = z.infer<typeof windowSchema>
export type ImportJson = z.infer<typeof importSchema>
export type LabelsJson = z.infer<typeof labelsSchema>
/** After parsing, with defaults. */
export type WindowListQuery = z.output<typeof windowListQuery>
/** As clients send it. */
export type FreezeBody = z.input<typeof freezeBody>
export type ThawBody = z.input<typeof thawBody>
export type CloneBody = z.input<typeof cloneBody>
