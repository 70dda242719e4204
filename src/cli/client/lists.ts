// Reads lists page by page, and shows them as one table.

import { type Command, InvalidArgumentError } from 'commander'
import type { PageJson } from '../../wire/lists.ts'
import { type Column, formatTable } from '../terminal/table.ts'
import type { CommandContext } from './command.ts'
import type { Call, Rest } from './rest.ts'

const MAX_PAGE = 1_000

export interface ListOptions {
  /** Total number of items. Default: 100. */
  readonly limit?: number | undefined
  /** All items, instead of `limit`. */
  readonly all?: boolean | undefined
  /** The cursor at which an earlier list ended. */
  readonly cursor?: string | undefined
}

export function withPaging(command: Command): Command {
  return command
    .option('--limit <n>', 'number of items (default: 100)', positive)
    .option('--all', 'all items')
    .option('--cursor <cursor>', 'continue where an earlier list ended')
}

/** Parses a positive integer. Throws commander's own error. */
export function positive(value: string): number {
  const number = Number(value)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new InvalidArgumentError('It must be a whole number, 1 or more.')
}

/** Of an option that may be repeated: all its values. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

/** Reads as many pages as needed and joins them. `next_cursor` is present if there is more. */
export async function listAll<T>(
  rest: Rest,
  path: string,
  options: ListOptions,
  { maxPage = MAX_PAGE, ...call }: Pick<Call, 'query' | 'signal'> & { readonly maxPage?: number } = {},
): Promise<PageJson<T>> {
  const wanted = options.all === true ? Number.POSITIVE_INFINITY : (options.limit ?? 100)
  const data: T[] = []
  let cursor = options.cursor
  for (;;) {
    const limit = Math.min(maxPage, wanted - data.length)
    const page = await rest.json<PageJson<T>>(path, { ...call, query: { ...call.query, limit, cursor } })
    data.push(...page.data)
    cursor = page.next_cursor
    if (cursor === undefined) return { data }
    if (data.length >= wanted) return { data, next_cursor: cursor }
  }
}

/**
 * Prints the page as a table, with a message if it is empty or if there is more. Without a key, a message also says whose list this is: on a
 * terminal, and whenever the list is empty.
 */
export function showPage<T>(
  { rest, screen, show, json }: CommandContext,
  page: PageJson<T>,
  columns: readonly Column<T>[],
  noun: string,
): void {
  show(page, ({ data }) => (data.length === 0 ? [] : formatTable(screen, columns, data)))
  if (json) return
  const isEmpty = page.data.length === 0
  if (!rest.hasKey && (isEmpty || screen.isTerminal)) {
    screen.printError(
      `showing ${noun} of requests without an API key; to see others, set CWM_API_KEY or --api-key-file`,
    )
  }
  if (isEmpty) screen.printError(`no ${noun}`)
  else if (page.next_cursor !== undefined)
    screen.printError(`there are more; use --all, or --cursor ${page.next_cursor}`)
}
