// Formats windows and sessions for people and scripts.

import type { SessionJson } from '../wire/sessions.ts'
import type { WindowJson } from '../wire/windows.ts'
import { formatDurability, formatRemarks, formatThaw } from './client/receipts.ts'
import type { Screen } from './terminal/screen.ts'
import { type Column, formatFields } from './terminal/table.ts'
import { formatAge, formatCount, formatDuration, formatPercent, pluralize } from './terminal/text.ts'

export function windowColumns(now: number): readonly Column<WindowJson>[] {
  return [
    { title: 'NAME', value: ({ name }) => name, elastic: true },
    { title: 'STATE', value: ({ state }) => state },
    {
      title: 'TOKENS',
      value: ({ receipt }) => receipt?.tokens,
      display: ({ receipt }) => formatOptionalCount(receipt?.tokens),
      align: 'right',
    },
    {
      title: 'RESTORABLE',
      value: ({ receipt }) => receipt?.restorable_tokens,
      display: ({ receipt }) => formatOptionalCount(receipt?.restorable_tokens),
      align: 'right',
      omit: 1,
    },
    { title: 'STORED', value: ({ receipt }) => receipt?.durability, omit: 3 },
    { title: 'PIN', value: ({ pin }) => pin, display: ({ pin }) => (pin === 'none' ? '' : (pin ?? '')), omit: 4 },
    { title: 'MODEL', value: ({ model }) => model, elastic: true, omit: 2 },
    { title: 'PARENT', value: ({ parent }) => parent, elastic: true, omit: 5 },
    { title: 'TAGS', value: ({ tags }) => tags?.join(','), elastic: true },
    {
      title: 'AGE',
      value: ({ created_at }) => created_at,
      display: ({ created_at }) => formatAge(created_at, now),
      align: 'right',
    },
  ]
}

export function formatWindow(screen: Screen, window: WindowJson): string[] {
  const { receipt } = window
  const { now } = screen
  return [
    ...formatFields(screen, [
      ['window', window.name],
      ['state', window.state],
      ['reason', window.reason],
      ['model', window.model],
      ['dialect', window.dialect],
      ['messages', formatOptionalCount(window.messages)],
      ['tokens', formatOptionalCount(receipt?.tokens)],
      [
        'restorable',
        receipt &&
          `${formatCount(receipt.restorable_tokens)} (${formatPercent(receipt.restorable_tokens, receipt.tokens)}), ${pluralize(receipt.chunks, 'chunk')}`,
      ],
      ['stored', receipt && formatDurability(receipt.durability)],
      ['tiers', receipt && formatTiers(receipt.tiers)],
      ['pin', window.pin && `${window.pin}${window.pin_until === undefined ? '' : ` until ${window.pin_until}`}`],
      ['origin', window.origin && formatOrigin(window)],
      ['tags', window.tags?.join(', ')],
      ['note', window.note],
      ['frozen', window.frozen_at && `${window.frozen_at} (${formatAge(window.frozen_at, now())} ago)`],
      ['took', receipt?.ms.total === undefined ? undefined : formatDuration(receipt.ms.total)],
      [
        'thaws',
        window.thaws === undefined
          ? undefined
          : `${formatCount(window.thaws)}${window.thawed_at === undefined ? '' : `, the last ${formatAge(window.thawed_at, now())} ago`}`,
      ],
      ['checksum', window.checksum],
    ]),
    ...(receipt === undefined ? [] : formatRemarks(screen, receipt)),
  ]
}

function formatOrigin({ origin, session_id, parent }: WindowJson): string {
  const from = {
    session: `from session ${session_id ?? '?'}`,
    clone: `clone of ${parent ?? '?'}`,
    content: 'created from content',
    import: 'imported from a file',
  }
  const words = from[origin ?? 'session']
  return origin === 'session' && parent !== undefined ? `${words}, which was thawed from ${parent}` : words
}

function formatTiers({ total, l1, l2, backends }: NonNullable<WindowJson['receipt']>['tiers']): string {
  const seen = (value: number | null) => (value === null ? '?' : formatCount(value))
  const behind = Object.entries(backends).map(([name, chunks]) => `${name} ${formatCount(chunks)}`)
  return `of ${pluralize(total, 'chunk')}: memory ${seen(l1)}, behind it ${seen(l2)}${behind.length === 0 ? '' : ` (${behind.join(', ')})`}`
}

export function sessionColumns(now: number): readonly Column<SessionJson>[] {
  return [
    { title: 'SESSION', value: ({ id }) => id, elastic: true },
    { title: 'TURNS', value: ({ turns }) => turns, align: 'right', omit: 2 },
    {
      title: 'USED',
      value: ({ usage }) => usage?.total_tokens,
      display: ({ usage }) => formatOptionalCount(usage?.total_tokens),
      align: 'right',
    },
    {
      title: 'LIMIT',
      value: ({ limit }) => limit,
      display: ({ limit }) => formatOptionalCount(limit),
      align: 'right',
      omit: 3,
    },
    {
      title: 'FULL',
      value: ({ usage, limit }) =>
        usage === undefined || limit === undefined ? undefined : formatPercent(usage.total_tokens, limit),
      align: 'right',
    },
    {
      title: 'CACHED',
      value: ({ usage }) => usage?.cached_tokens ?? undefined,
      display: ({ usage }) => formatOptionalCount(usage?.cached_tokens ?? undefined),
      align: 'right',
    },
    { title: 'MODEL', value: ({ model }) => model, elastic: true, omit: 1 },
    { title: 'WINDOW', value: ({ base_window }) => base_window, elastic: true },
    {
      title: 'LAST',
      value: ({ last_turn_at }) => last_turn_at,
      display: ({ last_turn_at }) => formatAge(last_turn_at, now),
      align: 'right',
    },
  ]
}

export function formatSession(screen: Screen, session: SessionJson): string[] {
  const { usage, limit, rollover, truncation, prefix_break, thaw, thaw_loss, freezable } = session
  return [
    ...formatFields(screen, [
      ['session', session.id],
      ['model', session.model],
      ['dialect', session.dialect],
      ['turns', formatCount(session.turns)],
      [
        'context',
        usage &&
          `${formatCount(usage.total_tokens)}${limit === undefined ? '' : ` of ${formatCount(limit)} (${formatPercent(usage.total_tokens, limit)})`}`,
      ],
      [
        'last turn',
        usage &&
          `${pluralize(usage.prompt_tokens, 'prompt token')}, ${formatCached(usage.cached_tokens)}, ${formatCount(usage.completion_tokens)} completion tokens`,
      ],
      ['window', session.base_window],
      ['automatic window', session.auto_window],
      [
        'freezable',
        freezable === undefined ? undefined : freezable ? 'yes' : 'no; send a turn with the header x-cwm-freeze',
      ],
      ['created', session.created_at],
      ['last turn at', `${session.last_turn_at} (${formatAge(session.last_turn_at, screen.now())} ago)`],
    ]),
    ...(rollover === undefined
      ? []
      : [
          screen.style(
            'yellow',
            `prompts are cut: ${pluralize(rollover.messages, 'message')} left out; window ${rollover.window} has the whole conversation`,
          ),
        ]),
    ...(truncation === undefined
      ? []
      : [
          screen.style(
            'yellow',
            `the last answer was cut by the context limit of ${formatCount(truncation.limit)} tokens`,
          ),
        ]),
    ...(prefix_break === undefined ? [] : [screen.style('yellow', formatPrefixBreak(prefix_break))]),
    ...(thaw === undefined ? [] : formatThaw(screen, thaw)),
    ...(thaw_loss === undefined ? [] : [screen.style('yellow', formatThawLoss(thaw_loss))]),
  ]
}

const lossCauses: Readonly<Record<NonNullable<SessionJson['thaw_loss']>['cause'], string>> = {
  moved: 'another engine served it',
  evicted: 'the engine no longer had it',
  unknown: 'a router chose the engine',
}

/** What became of a thaw's KV before the next turn. */
function formatThawLoss({ cause, cached_tokens, expected_tokens }: NonNullable<SessionJson['thaw_loss']>): string {
  return `the first turn after the thaw was colder than the thaw: ${formatCount(cached_tokens)} tokens cached, ${formatCount(expected_tokens)} expected; cause: ${cause} (${lossCauses[cause]})`
}

function formatCached(cached: number | null): string {
  return cached === null ? 'unknown number cached' : `${formatCount(cached)} cached`
}

/** Why a turn was cold although it should have been warm. */
export function formatPrefixBreak({
  cause,
  message,
  field,
  offset,
  cached_tokens,
  expected_tokens,
}: NonNullable<SessionJson['prefix_break']>): string {
  const where = [
    message === undefined ? undefined : `message ${message}`,
    field === undefined ? undefined : `field ${field}`,
    offset === undefined ? undefined : `byte ${offset}`,
  ].filter((part) => part !== undefined)
  const place = where.length === 0 ? '' : ` (${where.join(', ')})`
  return `the last turn was cold: ${formatCount(cached_tokens)} tokens cached, ${formatCount(expected_tokens)} expected; cause: ${cause}${place}`
}

function formatOptionalCount(value: number | undefined): string {
  return value === undefined ? '' : formatCount(value)
}
