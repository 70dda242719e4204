// Windows: what is answered of one, how they are listed, and what is asked of them.

import { z } from 'zod'
import { messageDialects } from '../dialects/index.ts'
import { sortOrders, storedWindowStates, thawTargets, windowSorts } from './enums.ts'
import { pageQuery } from './lists.ts'
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
  .meta({ id: 'Window' })

/** A list in a query: `tag=a&tag=b`, or one value. No more than a window can have: each is a condition of the store's query. */
const several = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(z.string()).max(32).optional(),
)
const instant = z.iso.datetime({ offset: true }).optional()

export const windowListQuery = pageQuery.extend({
  tag: several.describe('Only windows with this tag; given several times, with each of them'),
  model: z.string().optional(),
  state: z.enum(storedWindowStates).optional(),
  session_id: z.string().optional(),
  parent: z.string().optional().describe('Only windows cloned or thawed-and-frozen from this one'),
  search: z.string().max(128).optional().describe('Text within the name, in either case'),
  created_from: instant.describe('Made at or after this time'),
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
    .describe('Wait this long for a window that is pending or freezing, milliseconds'),
})

/** What people say of a window. */
const labels = {
  tags: z
    .array(z.string().regex(/^[\x21-\x7e]{1,64}$/, 'a tag is 1 to 64 visible ASCII characters'))
    .max(32)
    .optional(),
  note: z.string().max(4096).optional(),
}

export const labelsSchema = z.object(labels)

export const freezeBody = z.strictObject({
  name: z.string(),
  session_id: z.string(),
  ...labels,
  wait: z.boolean().default(true).describe('Answer when the freeze is done; otherwise at once, with 202'),
})

export const thawBody = z.strictObject({
  session_id: z.string().optional().describe('The session to thaw into; a new one when absent'),
  to: z
    .enum(thawTargets)
    .default('engine')
    .describe("`l1` only loads the chunks into LMCache's memory and binds no session"),
  replace: z
    .boolean()
    .default(false)
    .describe(
      'Thaw into a session that has turns of its own: its next turn starts from this window. Without it, such a session answers 409',
    ),
})

export const changeWindowBody = z.strictObject({
  ...labels,
  pinned: z.boolean().optional().describe('Whether LMCache shall keep its chunks'),
})

export const cloneBody = z.strictObject({
  name: z.string().describe("The clone's name"),
  at: z.number().int().min(1).optional().describe('How many messages it holds; whole exchanges only. All when absent'),
  ...labels,
})

export const contentBody = z
  .looseObject({
    model: z.string().min(1),
    dialect: z.enum(messageDialects).default('chat'),
    document: z.string().min(1).optional().describe('Becomes one message, instead of `messages`'),
    document_role: z.enum(['system', 'user']).default('system'),
    cache_salt: z.string().max(128).optional(),
    ...labels,
  })
  .describe('Messages and shaping fields (`tools`, `system`, …) as the dialect has them')

export const exportSchema = z.looseObject({ format: z.literal('cwm-window') })

export const importQuery = z.object({ name: z.string().optional().describe("The file's own name when absent") })
export const importBody = z.looseObject({ format: z.string() })
export const importSchema = z.object({
  window: windowSchema,
  drift: z
    .boolean()
    .nullable()
    .describe("Template or tokenizer here give other ids than the file's; null where that could not be told"),
})

export type WindowJson = z.infer<typeof windowSchema>
export type ImportJson = z.infer<typeof importSchema>
export type LabelsJson = z.infer<typeof labelsSchema>
/** As it was read, with its defaults. */
export type WindowListQuery = z.output<typeof windowListQuery>
/** As clients send them. */
export type FreezeBody = z.input<typeof freezeBody>
export type ThawBody = z.input<typeof thawBody>
export type CloneBody = z.input<typeof cloneBody>
