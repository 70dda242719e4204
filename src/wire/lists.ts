// Paginated lists: query parameters and response.

import { z } from 'zod'

export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Items per page'),
  cursor: z.string().optional().describe('The `next_cursor` of the previous page'),
})

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), next_cursor: z.string().optional() })

export interface PageJson<T> {
  readonly data: readonly T[]
  readonly next_cursor?: string | undefined
}
