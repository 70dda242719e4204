// Keyset paging for every store: a cursor is the position where the last page ended, so inserts between two pages cause no repeated or
// skipped entries. Cursors are opaque to clients and validated; they contain nothing that the page did not show.

import { createHash } from 'node:crypto'
import { CwmError } from '../base/errors.ts'
import { parseJson } from '../base/json.ts'
import type { Page, PageRequest, WindowQuery } from './store-values.ts'

type Scalar = string | number

/** Where a page ended: the value sorted by (a time in milliseconds since the epoch, a count, a name) and a tiebreaker. */
export type Position<At extends Scalar = Scalar, Tie extends Scalar = Scalar> = readonly [at: At, tie: Tie]

/** Throws `INVALID_FIELD` unless the limit is a whole number from 1 to 1,000. */
export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > 1000) {
    throw new CwmError('INVALID_FIELD', 'limit must be a whole number from 1 to 1,000', { param: 'limit' })
  }
}

/**
 * The position in `page.cursor`; undefined for the first page. `list` prevents using another list's cursor; `at` and `tie` are the types of
 * the position's parts. Throws `INVALID_FIELD`.
 */
export function positionIn<At extends 'number' | 'string', Tie extends 'number' | 'string'>(
  list: string,
  page: PageRequest,
  at: At,
  tie: Tie,
): Position<ScalarOf<At>, ScalarOf<Tie>> | undefined {
  if (page.cursor === undefined) return undefined
  const value = parseJson(Buffer.from(page.cursor, 'base64url').toString('utf8'))
  if (!Array.isArray(value) || value.length !== 3) throw badCursor()
  const [tag, ...position] = value as readonly unknown[]
  if (tag !== list || !isScalar(position[0], at) || !isScalar(position[1], tie)) throw badCursor()
  return position as unknown as Position<ScalarOf<At>, ScalarOf<Tie>>
}

/** Where a page of a list that can be read in both directions begins or ends. */
export interface Place<At extends Scalar = Scalar, Tie extends Scalar = Scalar> {
  /** Absent: the start of the list. */
  readonly position: Position<At, Tie> | undefined
  /** The page ends before the position, instead of starting after it. Its rows are then read in the opposite order. */
  readonly isBackward: boolean
  /** Items before the position when the cursor was made. */
  readonly before: number
}

/** The place in `page.cursor` of a list that can be read in both directions. Parameters and errors as `positionIn`. */
export function placeIn<At extends 'number' | 'string', Tie extends 'number' | 'string'>(
  list: string,
  page: PageRequest,
  at: At,
  tie: Tie,
): Place<ScalarOf<At>, ScalarOf<Tie>> {
  if (page.cursor === undefined) return { position: undefined, isBackward: false, before: 0 }
  const value = parseJson(Buffer.from(page.cursor, 'base64url').toString('utf8'))
  // Older versions write three.
  if (!Array.isArray(value) || (value.length !== 3 && value.length !== 5)) throw badCursor()
  const [tag, first, second, direction = 'after', before = 0] = value as readonly unknown[]
  if (tag !== list || !isScalar(first, at) || !isScalar(second, tie)) throw badCursor()
  if ((direction !== 'before' && direction !== 'after') || !isScalar(before, 'number')) throw badCursor()
  const position = [first, second] as unknown as Position<ScalarOf<At>, ScalarOf<Tie>>
  return { position, isBackward: direction === 'before', before: Math.max(0, Number(before)) }
}

/**
 * Builds the page at a place from up to `limit + 1` rows, nearest to the place first. The additional row shows that there are more in that
 * direction. In the other direction there are more if the place is not the start.
 */
export function toPageAt<R, T>(
  list: string,
  place: Place,
  rows: readonly R[],
  limit: number,
  item: (row: R) => T,
  position: (row: R) => Position,
): Page<T> {
  const near = rows.slice(0, limit)
  const shown = place.isBackward ? near.reverse() : near
  const [first, last] = [shown[0], shown.at(-1)]
  const [hasMore, hasOther] = [rows.length > limit, place.position !== undefined]
  const [hasPrevious, hasNext] = place.isBackward ? [hasMore, hasOther] : [hasOther, hasMore]
  const before = place.isBackward ? Math.max(0, place.before - shown.length) : place.before
  if (first === undefined || last === undefined) return { items: [], before: 0 }
  const cursor = (row: R, direction: string, count: number) =>
    Buffer.from(JSON.stringify([list, ...position(row), direction, count])).toString('base64url')
  return {
    items: shown.map(item),
    before: hasPrevious ? before : 0,
    ...(hasPrevious ? { previousCursor: cursor(first, 'before', before) } : {}),
    ...(hasNext ? { nextCursor: cursor(last, 'after', before + shown.length) } : {}),
  }
}

type ScalarOf<Kind extends 'number' | 'string'> = Kind extends 'number' ? number : string

/** Builds the page from up to `limit + 1` rows. The additional row shows that there is a next page. */
export function toPage<R, T>(
  list: string,
  rows: readonly R[],
  limit: number,
  item: (row: R) => T,
  position: (row: R) => Position,
): Page<T> {
  const items = rows.slice(0, limit).map(item)
  const last = rows[limit - 1]
  if (rows.length <= limit || last === undefined) return { items }
  const nextCursor = Buffer.from(JSON.stringify([list, ...position(last)])).toString('base64url')
  return { items, nextCursor }
}

/** The `list` of a window query. Another filter, sort or order is another list; another limit or cursor is not. */
export function windowList(query: WindowQuery): string {
  const { limit: _limit, cursor: _cursor, tags = [], sort = 'created', order = 'desc', ...filters } = query
  const conditions = Object.entries(filters).filter(([, value]) => value !== undefined)
  return queryList('windows', [sort, order, [...new Set(tags)].sort(), conditions.sort()])
}

/** The `list` of any query, from the parts that determine which items it has in which order. */
export function queryList(of: string, parts: readonly unknown[]): string {
  return `${of}:${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 12)}`
}

function isScalar(value: unknown, kind: 'number' | 'string'): boolean {
  return kind === 'number' ? Number.isSafeInteger(value) : typeof value === 'string'
}

function badCursor(): CwmError {
  return new CwmError('INVALID_FIELD', 'cursor does not belong to this list; start again without it', {
    param: 'cursor',
  })
}
