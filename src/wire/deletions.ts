// Receipts of deletes: of one window or session, and of a whole tenant.

import { z } from 'zod'
import { dependentSessions } from './dependent-sessions.ts'
import { count, stepMs, time } from './scalars.ts'

export const deletionSchema = z
  .object({
    id: z.string(),
    kind: z
      .enum(['window', 'session', 'sessions', 'requests'])
      .describe(
        '`sessions`: sessions that stayed idle after their first turn, deleted together; `requests`: KV that requests without a session (embeddings, scores) left in LMCache, deleted within two hours',
      ),
    name: z.string().describe("The window's name, the session's id, or the maximum number of sessions or requests"),
    state: z.enum(['open', 'done']).describe('`open`: retried in the background'),
    at: time,
    deleted_chunks: count,
    residual_chunks: count.nullable().describe('Chunks still present; null if unknown'),
    kept_chunks: count.describe('Chunks that stay because others hold them'),
    kept_for: z.array(z.enum(['session', 'window', 'isolation'])).describe('Who holds the chunks that stay'),
    held_by: dependentSessions
      .nullable()
      .describe(
        'Of a window: the sessions based on it. They keep its text, and the delete stays open, until the last of them ends or thaws another window. Null if there are none',
      ),
    unpinned: z.boolean().nullable().describe('Whether its pin was released; null if it held none'),
    lineage_retired: z
      .boolean()
      .describe(
        'Whether nothing uses its KV space any more, so its salt is retired and never used again. For `sessions`: whether this is true of all of them',
      ),
    engine: z
      .literal('until_evicted')
      .describe("The engine's own cache cannot be cleared by request; without the salt nobody can reach what it holds"),
    ms: stepMs,
    warnings: z.array(z.string()),
  })
  .meta({ id: 'Deletion' })

export const deleteWindowQuery = z.object({
  sessions: z
    .enum(['keep', 'end'])
    .default('keep')
    .describe(
      '`end`: the sessions based on it end with it. `keep`: they continue, and its text stays until the last of them leaves',
    ),
})

export const erasureSchema = z
  .object({
    windows: z.number().int(),
    sessions: z.number().int(),
    deleted_chunks: count,
    residual_chunks: count.nullable(),
    lineages_retired: z.number().int(),
    open: z.array(z.string()).describe('Ids of deletes that are retried in the background'),
    engine: z.literal('until_evicted'),
    ms: z.number(),
  })
  .meta({ id: 'Erasure' })

export type DeletionJson = z.infer<typeof deletionSchema>
export type ErasureJson = z.infer<typeof erasureSchema>
