// What deletes have proved, of one window or session and of a whole tenant.

import { z } from 'zod'
import { count, stepMs, time } from './scalars.ts'

export const deletionSchema = z
  .object({
    id: z.string(),
    kind: z.enum(['window', 'session']),
    name: z.string().describe("The window's name, or the session's id"),
    state: z.enum(['open', 'done']).describe('`open`: it is tried again in the background'),
    at: time,
    deleted_chunks: count,
    residual_chunks: count.nullable().describe('Still there; null where nobody could tell'),
    kept_chunks: count.describe('Of it that stay because others hold them'),
    kept_for: z.array(z.enum(['session', 'window', 'isolation'])),
    unpinned: z.boolean().nullable().describe('Its pin was given back; null where it held none'),
    lineage_retired: z.boolean().describe('Nothing holds its KV space any more: its salt is never used again'),
    engine: z
      .literal('until_evicted')
      .describe("The engine's own cache cannot be told to forget; nobody can reach what it holds without the salt"),
    ms: stepMs,
    warnings: z.array(z.string()),
  })
  .meta({ id: 'Deletion' })

export const erasureSchema = z
  .object({
    windows: z.number().int(),
    sessions: z.number().int(),
    deleted_chunks: count,
    residual_chunks: count.nullable(),
    lineages_retired: z.number().int(),
    open: z.array(z.string()).describe('Ids of deletes that are tried again in the background'),
    engine: z.literal('until_evicted'),
    ms: z.number(),
  })
  .meta({ id: 'Erasure' })

export type DeletionJson = z.infer<typeof deletionSchema>
export type ErasureJson = z.infer<typeof erasureSchema>
