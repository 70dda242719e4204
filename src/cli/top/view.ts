// What of a snapshot is shown, and in which order: sorting, filter, and scrolling, changed by keys.

import type { SessionJson } from '../../wire/sessions.ts'

export const sortNames = ['last', 'full', 'used', 'cached', 'turns', 'name'] as const
export type SortName = (typeof sortNames)[number]

export interface View {
  readonly sort: SortName
  readonly reversed: boolean
  /** Text in the session's id, model, or window. */
  readonly filter: string
  /** Whether the filter is being typed. */
  readonly isTyping: boolean
  /** The first session shown, counted from 0. */
  readonly offset: number
}

export const firstView: View = { sort: 'last', reversed: false, filter: '', isTyping: false, offset: 0 }

/** The view after a key; undefined to quit. `page`: rows that fit. An unknown key changes nothing. */
export function afterKey(view: View, key: string, page: number): View | undefined {
  if (view.isTyping) return afterTyped(view, key)
  const sortBy = (step: number): View => ({
    ...view,
    sort: sortNames[(sortNames.indexOf(view.sort) + step + sortNames.length) % sortNames.length] ?? 'last',
    offset: 0,
  })
  switch (key) {
    case 'q':
    case 'Q':
      return undefined
    case '\u001b[C':
    case '>':
    case 's':
      return sortBy(1)
    case '\u001b[D':
    case '<':
      return sortBy(-1)
    case 'r':
      return { ...view, reversed: !view.reversed, offset: 0 }
    case '/':
      return { ...view, isTyping: true }
    case '\u001b':
      return { ...view, filter: '', offset: 0 }
    case '\u001b[A':
    case 'k':
      return { ...view, offset: Math.max(0, view.offset - 1) }
    case '\u001b[B':
    case 'j':
      return { ...view, offset: view.offset + 1 }
    case '\u001b[5~':
      return { ...view, offset: Math.max(0, view.offset - page) }
    case '\u001b[6~':
    case ' ':
      return { ...view, offset: view.offset + page }
    case '\u001b[H':
    case 'g':
      return { ...view, offset: 0 }
    default:
      return view
  }
}

function afterTyped(view: View, key: string): View {
  if (key === '\r' || key === '\n') return { ...view, isTyping: false }
  if (key === '\u001b') return { ...view, isTyping: false, filter: '', offset: 0 }
  if (key === '\u007f' || key === '\b') return { ...view, filter: [...view.filter].slice(0, -1).join(''), offset: 0 }
  if (key.length > 2 || key < ' ') return view
  return { ...view, filter: view.filter + key, offset: 0 }
}

/** The sessions that match, in order: the greatest first, names from A. */
export function selectSessions(sessions: readonly SessionJson[], { sort, reversed, filter }: View): SessionJson[] {
  const text = filter.toLowerCase()
  const found = sessions.filter(({ id, model = '', base_window = '' }) =>
    [id, model, base_window].some((value) => value.toLowerCase().includes(text)),
  )
  const sorted = found.toSorted((a, b) =>
    sort === 'name' ? compare(a.id, b.id) : compare(sortValue(b, sort), sortValue(a, sort)),
  )
  return reversed ? sorted.reverse() : sorted
}

function sortValue(
  { last_turn_at, usage, limit, turns }: SessionJson,
  sort: Exclude<SortName, 'name'>,
): number | string {
  switch (sort) {
    case 'last':
      return last_turn_at
    case 'full':
      return usage === undefined || limit === undefined ? -1 : usage.total_tokens / limit
    case 'used':
      return usage?.total_tokens ?? -1
    case 'cached':
      return cachedShare(usage) ?? -1
    case 'turns':
      return turns
  }
}

/** The share of the last prompt that was cached, 0 to 1; undefined if unknown. */
export function cachedShare(usage: SessionJson['usage']): number | undefined {
  if (usage === undefined || usage.cached_tokens === null || usage.prompt_tokens === 0) return undefined
  return usage.cached_tokens / usage.prompt_tokens
}

function compare<T extends number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
