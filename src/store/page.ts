// Keyset paging for every store: a cursor is where the last page ended, so inserts between two pages neither repeat nor skip
// what was there. Opaque to clients, checked on the way in; it names nothing that its page did not show.

import { CwmError } from '../base/errors.ts'
import { parseJson } from '../base/json.ts'
import type { Page, PageRequest } from '../base/store.ts'

/** Where a page ended: the sorted time (milliseconds since the epoch) and what tells equals apart. */
export type Position<Tie extends string | number> = readonly [at: number, tie: Tie]

/** Throws `INVALID_FIELD` unless the limit is a whole number from 1 to 1,000. */
export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > 1000) {
    throw new CwmError('INVALID_FIELD', 'limit must be a whole number from 1 to 1,000', { param: 'limit' })
  }
}

/** The position in `page.cursor`, or undefined on the first page. `list` keeps one list's cursor out of another; throws `INVALID_FIELD`. */
export function textPosition(list: string, page: PageRequest): Position<string> | undefined {
  if (page.cursor === undefined) return undefined
  const [at, tie] = decode(list, page.cursor)
  if (typeof tie !== 'string') throw badCursor()
  return [at, tie]
}

/** As {@link textPosition}, for lists whose equals are told apart by a number. */
export function numberPosition(list: string, page: PageRequest): Position<number> | undefined {
  if (page.cursor === undefined) return undefined
  const [at, tie] = decode(list, page.cursor)
  if (typeof tie !== 'number' || !Number.isSafeInteger(tie)) throw badCursor()
  return [at, tie]
}

/** The page out of up to `limit + 1` rows: the one too many says that there is a next page. */
export function toPage<R, T>(
  list: string,
  rows: readonly R[],
  limit: number,
  item: (row: R) => T,
  position: (row: R) => Position<string | number>,
): Page<T> {
  const items = rows.slice(0, limit).map(item)
  const last = rows[limit - 1]
  if (rows.length <= limit || last === undefined) return { items }
  const nextCursor = Buffer.from(JSON.stringify([list, ...position(last)])).toString('base64url')
  return { items, nextCursor }
}

function decode(list: string, cursor: string): readonly [at: number, tie: unknown] {
  const value = parseJson(Buffer.from(cursor, 'base64url').toString('utf8'))
  if (!Array.isArray(value) || value.length !== 3) throw badCursor()
  const [tag, at, tie] = value as readonly unknown[]
  if (tag !== list || typeof at !== 'number' || !Number.isSafeInteger(at)) throw badCursor()
  return [at, tie]
}

function badCursor(): CwmError {
  return new CwmError('INVALID_FIELD', 'cursor is not one that this list gave out; begin again without it', {
    param: 'cursor',
  })
}
