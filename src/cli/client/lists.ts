// Lists of any length: asked for page by page, shown as one table.

import { type Command, InvalidArgumentError } from 'commander'
import type { PageJson } from '../../wire/lists.ts'
import { type Column, formatTable } from '../terminal/table.ts'
import type { CommandContext } from './command.ts'
import type { Call, Rest } from './rest.ts'

const MAX_PAGE = 1_000

export interface ListOptions {
  /** Items in all. Default: 100. */
  readonly limit?: number | undefined
  /** Every item there is, instead of `limit`. */
  readonly all?: boolean | undefined
  /** Where an earlier list ended. */
  readonly cursor?: string | undefined
}

export function withPaging(command: Command): Command {
  return command
    .option('--limit <n>', 'how many (default: 100)', positive)
    .option('--all', 'every one there is')
    .option('--cursor <cursor>', 'go on where an earlier list ended')
}

/** For numbers of items and the like. Throws commander's own error. */
export function positive(value: string): number {
  const number = Number(value)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new InvalidArgumentError('It is a whole number from 1.')
}

/** As many pages as are asked for, as one; `next_cursor` where there is more. */
export async function listAll<T>(
  rest: Rest,
  path: string,
  options: ListOptions,
  call: Pick<Call, 'query' | 'signal'> = {},
): Promise<PageJson<T>> {
  const wanted = options.all === true ? Number.POSITIVE_INFINITY : (options.limit ?? 100)
  const data: T[] = []
  let cursor = options.cursor
  for (;;) {
    const limit = Math.min(MAX_PAGE, wanted - data.length)
    const page = await rest.json<PageJson<T>>(path, { ...call, query: { ...call.query, limit, cursor } })
    data.push(...page.data)
    cursor = page.next_cursor
    if (cursor === undefined) return { data }
    if (data.length >= wanted) return { data, next_cursor: cursor }
  }
}

/**
 * Prints the page as a table, and says beside it if it is empty or if there is more. Without a key it also says whose list this is: on a
 * terminal, and wherever the list is empty.
 */
export function showPage<T>(
  { rest, screen, show, json }: CommandContext,
  page: PageJson<T>,
  columns: readonly Column<T>[],
  things: string,
): void {
  show(page, ({ data }) => (data.length === 0 ? [] : formatTable(screen, columns, data)))
  if (json) return
  const isEmpty = page.data.length === 0
  if (!rest.hasKey && (isEmpty || screen.isTerminal)) {
    screen.printError(`showing ${things} of requests without an API key; give a key with CWM_API_KEY or --api-key-file`)
  }
  if (isEmpty) screen.printError(`no ${things}`)
  else if (page.next_cursor !== undefined) screen.printError(`there are more: --all, or --cursor ${page.next_cursor}`)
}
