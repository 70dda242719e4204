// Libraries: the request that makes one, what it is and how far it is, and the receipt of its delete.

import { z } from 'zod'
import { LIBRARY_TAG_PREFIX } from '../base/library-records.ts'
import { pageQuery } from './lists.ts'
import { count, time } from './scalars.ts'
import { labelsSchema } from './windows.ts'

export const textFormats = ['markdown', 'plain'] as const
export const libraryStates = ['building', 'ready', 'failed'] as const

const textSchema = z.strictObject({
  title: z
    .string()
    .regex(/^[^\r\n]{1,200}$/, 'must be 1 to 200 characters in one line')
    .optional()
    .describe('Precedes each part of the text. Give each text a different title'),
  text: z.string().min(1),
  format: z.enum(textFormats).default('markdown').describe('`plain`: a line that begins with # is not a heading'),
})

export const libraryBody = z.strictObject({
  model: z
    .string()
    .min(1)
    .optional()
    .describe("Default: the library's current model, or the only model that the engine serves"),
  texts: z.array(textSchema).min(1).describe('All texts of the library; they replace the previous ones'),
  tokens_per_window: z
    .int()
    .min(256)
    .optional()
    .describe(
      "Maximum tokens of a window. Default: the library's current number; for a new library 4096, or less if the context limit needs room for question and answer",
    ),
  tags: labelsSchema.shape.tags
    .refine((tags) => !tags?.some((tag) => tag.startsWith(LIBRARY_TAG_PREFIX)), {
      error: `must not begin with ${LIBRARY_TAG_PREFIX}, which marks the windows of a library`,
    })
    .describe('Tags of the windows, in addition to `library:NAME`'),
})

export const showLibraryQuery = z.object({
  wait_ms: z.coerce
    .number()
    .int()
    .min(0)
    .max(60_000)
    .default(0)
    .describe('How long to wait for the build to end, milliseconds'),
})

export const libraryListQuery = pageQuery.extend({
  limit: z.coerce.number().int().min(1).max(100).default(20).describe('Items per page'),
})

const buildSchema = z.object({
  done: count.describe('Windows of the build that are frozen'),
  total: count,
  started_at: time,
  failure: z
    .object({
      window: z.string(),
      reason: z.string(),
      next: z.string().describe('What to do'),
    })
    .nullable(),
})

export const librarySchema = z
  .object({
    name: z.string(),
    tag: z.string().describe('Tag of all its windows; use it to ask them'),
    state: z
      .enum(libraryStates)
      .describe('`building`: see `build`. `failed`: the last build failed; the windows of the one before stay'),
    model: z.string(),
    tokens_per_window: count,
    windows: count.describe('Windows that can be asked now; while it is being built, those of its previous texts'),
    tokens: count.describe('Tokens of these windows'),
    texts: z.array(z.object({ title: z.string().nullable(), windows: count, tokens: count })),
    build: buildSchema.nullable().describe('The build in progress, or the one that failed'),
    created_at: time,
    changed_at: time,
    parts: z
      .array(z.object({ window: z.string(), title: z.string().nullable(), tokens: count }))
      .optional()
      .describe('The windows in the order of the texts. Only in the answer about a single library'),
  })
  .meta({ id: 'Library' })

export const libraryDeletionSchema = z
  .object({
    name: z.string(),
    windows: count.describe('Windows that were deleted'),
    windows_left: count.describe('Windows that were still being frozen; they are deleted in the background'),
    deleted_chunks: count,
    residual_chunks: count.nullable().describe('Chunks still present; null if unknown'),
    lineages_retired: count,
    open: z.array(z.string()).describe('Ids of deletes that are retried in the background'),
    engine: z.literal('until_evicted'),
    ms: z.number(),
  })
  .meta({ id: 'LibraryDeletion' })

export type LibraryBody = z.input<typeof libraryBody>
export type LibraryJson = z.infer<typeof librarySchema>
export type LibraryDeletionJson = z.infer<typeof libraryDeletionSchema>
