// One change to many windows.

import { z } from 'zod'
import { deleteWindowQuery, deletionSchema } from './deletions.ts'
import { bulkActions } from './enums.ts'
import { errorSchema } from './error.ts'
import { labelsSchema, windowSchema } from './windows.ts'

export const bulkBody = z
  .strictObject({
    names: z.array(z.string().min(1).max(128)).min(1).max(100).describe('Names of windows, 1 to 100'),
    action: z
      .enum(bulkActions)
      .describe('`tag` adds tags and `untag` removes them; the other tags of the windows stay'),
    tags: labelsSchema.shape.tags.describe('For `tag` and `untag`'),
    sessions: deleteWindowQuery.shape.sessions.describe(
      'For `delete`. `end`: the sessions based on a window end with it. `keep`: they continue',
    ),
  })
  .refine(({ action, tags }) => (action === 'tag' || action === 'untag') === (tags !== undefined && tags.length > 0), {
    path: ['tags'],
    message: 'give one tag or more with `tag` and `untag`, and none with another action',
  })

export const bulkResultSchema = z
  .object({
    name: z.string(),
    window: windowSchema.optional().register(z.globalRegistry, { description: 'As it is now; absent after a delete' }),
    deletion: deletionSchema.optional().register(z.globalRegistry, { description: 'The receipt of the delete' }),
    error: errorSchema.shape.error.nullable().describe('Why this window was not changed; null if it was'),
  })
  .meta({ id: 'BulkResult' })

export const bulkAnswerSchema = z
  .object({
    action: z.enum(bulkActions),
    changed: z.number().int().describe('Windows that were changed or deleted'),
    failed: z.number().int(),
    results: z
      .array(bulkResultSchema)
      .describe('One for each name, in the order of the request; a repeated name counts once'),
  })
  .meta({ id: 'BulkAnswer' })

export type BulkBody = z.input<typeof bulkBody>
export type BulkResultJson = z.infer<typeof bulkResultSchema>
export type BulkAnswerJson = z.infer<typeof bulkAnswerSchema>
