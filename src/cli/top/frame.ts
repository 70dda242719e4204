// Draws a snapshot: for people as a screen, for programs as tab-separated lines.

import type { SessionJson } from '../../wire/sessions.ts'
import type { Screen, Style } from '../terminal/screen.ts'
import { type Column, formatTable } from '../terminal/table.ts'
import {
  formatAge,
  formatCount,
  formatDuration,
  formatPercent,
  pluralize,
  toSingleLine,
  truncate,
} from '../terminal/text.ts'
import { type Snapshot, SPAN_MS, type TopEngine } from './snapshot.ts'
import { cachedShare, selectSessions, type View } from './view.ts'

const GAUGE_CELLS = 10
const MAX_ENGINES = 6
const NEAR = 0.75
const FULL = 0.9

export interface FrameOptions {
  readonly view: View
  /** Rows of the terminal; undefined for all sessions, without keys. */
  readonly rows?: number
  /** Why the last reading failed, if it did. */
  readonly failure?: string | undefined
}

/** The screen as lines, none wider than it. */
export function formatFrame(screen: Screen, snapshot: Snapshot, { view, rows, failure }: FrameOptions): string[] {
  const head = [
    ...formatHead(screen, snapshot),
    ...(failure === undefined ? [] : [screen.style('red', truncate(toSingleLine(failure), screen.columns))]),
    '',
    ...formatEngines(screen, snapshot.engines, rows),
  ]
  if (snapshot.sessions === null) {
    return [...head, truncate('Sessions belong to tenants. To see those of one: cwm top --tenant ID', screen.columns)]
  }
  const found = selectSessions(snapshot.sessions, view)
  const room = rows === undefined ? found.length : sessionRows(head.length, rows)
  const offset = Math.min(view.offset, Math.max(0, found.length - room))
  const shown = found.slice(offset, offset + room)
  const body = shown.length === 0 ? [formatNone(view)] : formatTable(screen, sessionColumns(screen), shown)
  if (rows === undefined) return [...head, ...body]
  const blank = Array.from({ length: Math.max(0, rows - 1 - head.length - body.length) }, () => '')
  return [
    ...head,
    ...body,
    ...blank,
    formatKeys(screen, view, { from: offset, shown: shown.length, found: found.length }),
  ].slice(-rows)
}

/** Rows for sessions below the head: without the table's header, its hint, and the line of keys. */
export function sessionRows(head: number, rows: number): number {
  return Math.max(1, rows - head - 3)
}

function formatHead(screen: Screen, snapshot: Snapshot): string[] {
  const { health, url, at, usage, requests_in_flight, requests_queued, sessions_total } = snapshot
  const state = health.status === 'ok' ? 'ok' : health.upstream.ok ? 'degraded' : 'engine down'
  const minutes = SPAN_MS / 60_000
  const fitted = (text: string) => truncate(text, screen.columns)
  const title = fitted(`cwm ${health.version}  ${url}  ${state}  ${at.slice(11, 19)} UTC`)
  const traffic = [
    requests_in_flight === null ? [] : `in flight ${formatCount(requests_in_flight)}`,
    requests_queued === null ? [] : `queued ${formatCount(requests_queued)}`,
    `output ${formatRate(usage.tokens_per_second)} tokens/s`,
    sessions_total === null ? [] : pluralize(sessions_total, 'session'),
  ].flat()
  const last = [
    pluralize(usage.requests, 'request'),
    pluralize(usage.errors, 'error'),
    `cached ${formatPercent(usage.cached_tokens, usage.prompt_tokens)}`,
    `first token p50 ${formatOptionalMs(usage.first_token_p50_ms)}, p95 ${formatOptionalMs(usage.first_token_p95_ms)}`,
    usage.longest_queue_ms === 0 ? [] : `longest queue ${formatDuration(usage.longest_queue_ms)}`,
  ].flat()
  return [
    screen.style(health.status === 'ok' ? 'green' : health.upstream.ok ? 'yellow' : 'red', title),
    fitted(`now      ${traffic.join(' · ')}`),
    fitted(`${`${minutes} min`.padEnd(8)} ${last.join(' · ')}`),
  ]
}

function formatEngines(
  screen: Screen,
  engines: readonly TopEngine[] | null,
  rows = Number.POSITIVE_INFINITY,
): string[] {
  if (engines === null || engines.length === 0) return []
  // Most of a small terminal is for sessions.
  const shown = engines.slice(0, Math.max(1, Math.min(MAX_ENGINES, Math.floor(rows / 5))))
  const rest = engines.length - shown.length
  const more = truncate(`and ${pluralize(rest, 'more engine')}: cwm engines`, screen.columns)
  return [...formatTable(screen, engineColumns, shown), ...(rest > 0 ? [screen.style('dim', more)] : []), '']
}

const engineColumns: readonly Column<TopEngine>[] = [
  { title: 'ENGINE', value: ({ id }) => id, elastic: true },
  { title: 'STATE', value: ({ state, drained }) => (drained === true ? 'drained' : state) },
  { title: 'IN FLIGHT', value: ({ in_flight }) => in_flight, align: 'right' },
  { title: 'PLACED', value: ({ placements }) => placements ?? undefined, align: 'right', omit: 2 },
  { title: 'BREAKER', value: ({ breaker }) => (breaker === 'closed' ? '' : breaker) },
  { title: 'MODELS', value: ({ models }) => models?.join(',') ?? '', elastic: true, omit: 1 },
  { title: 'ERROR', value: ({ error }) => error ?? '', elastic: true },
]

function sessionColumns(screen: Screen): readonly Column<SessionJson>[] {
  const count = (value: number | undefined) => (value === undefined ? '' : formatCount(value))
  return [
    { title: 'SESSION', value: ({ id }) => id, elastic: true },
    {
      title: 'CONTEXT',
      value: fullShare,
      display: (session) => gaugeCells(session),
      style: (session) => gaugeStyle(session),
    },
    { title: 'FULL', value: fullShare, align: 'right' },
    {
      title: 'USED',
      value: ({ usage }) => usage?.total_tokens,
      display: ({ usage }) => count(usage?.total_tokens),
      align: 'right',
    },
    { title: 'LIMIT', value: ({ limit }) => limit, display: ({ limit }) => count(limit), align: 'right', omit: 3 },
    { title: 'CACHED', value: ({ usage }) => formatShare(cachedShare(usage)), align: 'right' },
    { title: 'TURNS', value: ({ turns }) => turns, align: 'right', omit: 4 },
    { title: 'MODEL', value: ({ model }) => model, elastic: true, omit: 2 },
    { title: 'WINDOW', value: ({ base_window }) => base_window, elastic: true, omit: 1 },
    {
      title: 'LAST',
      value: ({ last_turn_at }) => last_turn_at,
      display: ({ last_turn_at }) => formatAge(last_turn_at, screen.now()),
      align: 'right',
    },
  ]
}

function fullShare({ usage, limit }: SessionJson): string | undefined {
  return usage === undefined || limit === undefined ? undefined : formatPercent(usage.total_tokens, limit)
}

/** Full blocks for what was cached in the last turn, shaded ones for what was computed. */
function gaugeCells({ usage, limit }: SessionJson): string {
  if (usage === undefined || limit === undefined || limit === 0) return ''
  const cells = (tokens: number) => Math.min(GAUGE_CELLS, Math.round((GAUGE_CELLS * tokens) / limit))
  const used = cells(usage.total_tokens)
  const cached = Math.min(used, cells(usage.cached_tokens ?? 0))
  return '█'.repeat(cached) + '▒'.repeat(used - cached) + '·'.repeat(GAUGE_CELLS - used)
}

function gaugeStyle({ usage, limit }: SessionJson): Style {
  const share = usage === undefined || limit === undefined ? 0 : usage.total_tokens / limit
  return share >= FULL ? 'red' : share >= NEAR ? 'yellow' : 'green'
}

function formatNone({ filter }: View): string {
  return filter === '' ? 'no sessions yet' : `no session with ${filter} in its id, model, or window`
}

function formatKeys(
  screen: Screen,
  { sort, reversed, filter, isTyping }: View,
  { from, shown, found }: { readonly from: number; readonly shown: number; readonly found: number },
): string {
  if (isTyping) return truncate(`filter: ${filter}▏  Enter keeps it, Esc clears it`, screen.columns)
  const range = found === 0 ? '0' : `${from + 1}–${from + shown} of ${formatCount(found)}`
  const text = `${range} · sort: ${sort}${reversed ? ', reversed' : ''}${filter === '' ? '' : ` · filter: ${filter}`} · q quit  ←→ sort  r reverse  ↑↓ scroll  / filter`
  return screen.style('dim', truncate(text, screen.columns))
}

function formatShare(share: number | undefined): string | undefined {
  return share === undefined ? undefined : `${Math.floor(share * 100)}%`
}

function formatRate(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate))
}

function formatOptionalMs(ms: number | null): string {
  return ms === null ? '–' : formatDuration(ms)
}

/** For programs: lines of `proxy`, `engine`, and `session`, with tabs between whole values. An unknown value is empty. */
export function formatLines({ at, url, health, engines, sessions, usage, ...rest }: Snapshot): string[] {
  const line = (cells: readonly (string | number | null | undefined)[]) =>
    cells.map((cell) => (typeof cell === 'number' ? String(oneDecimal(cell)) : toSingleLine(cell ?? ''))).join('\t')
  return [
    line([
      ...['proxy', at, url, health.status, rest.requests_in_flight, rest.requests_queued],
      ...[usage.tokens_per_second, usage.requests, usage.errors, usage.prompt_tokens, usage.cached_tokens],
      ...[usage.completion_tokens, usage.first_token_p50_ms, usage.first_token_p95_ms, usage.longest_queue_ms],
    ]),
    ...(engines ?? []).map(({ id, state, in_flight, placements }) =>
      line(['engine', id, state, in_flight, placements]),
    ),
    ...(sessions ?? []).map(({ id, usage, limit, turns, model, base_window, last_turn_at }) =>
      line([
        ...['session', id, usage?.total_tokens, limit, usage?.cached_tokens, usage?.prompt_tokens],
        ...[turns, model, base_window, last_turn_at],
      ]),
    ),
  ]
}

/** At most one decimal: rates and estimated percentiles have no more digits that mean anything. */
function oneDecimal(value: number): number {
  return Math.round(value * 10) / 10
}
