// Paginated lists: query parameters and response.

import { z } from 'zod'

export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Items per page'),
  cursor: z.string().optional().describe('The `next_cursor` of the previous page'),
})

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), next_cursor: z.string().optional() })

/** Of a list that is read in both directions. */
export const countedPageQuery = pageQuery.extend({
  cursor: z.string().optional().describe('The `next_cursor` or `previous_cursor` of another page of this list'),
  count: z
    .enum(['true', 'false'])
    .default('false')
    .describe('Whether the answer has `first` and `total`. Counting costs more than reading a page'),
})

export const countedPageOf = <T extends z.ZodType>(item: T) =>
  pageOf(item).extend({
    previous_cursor: z.string().optional().describe('For the page before; absent on the first one'),
    first: z
      .number()
      .int()
      .optional()
      .describe('With `count`: the place of the first item in the list, from 1; 0 for an empty page'),
    total: z.number().int().optional().describe('With `count`: items in the list'),
    total_is_minimum: z
      .boolean()
      .optional()
      .describe('With `count`: there are at least `total` items; it stopped counting there'),
    examined: z
      .number()
      .int()
      .optional()
      .describe('Only so many of the most recent ones were searched; older ones are not in this list'),
  })

export interface PageJson<T> {
  readonly data: readonly T[]
  readonly next_cursor?: string | undefined
}

export interface CountedPageJson<T> extends PageJson<T> {
  readonly previous_cursor?: string | undefined
  readonly first?: number | undefined
  readonly total?: number | undefined
  readonly total_is_minimum?: boolean | undefined
  readonly examined?: number | undefined
}
