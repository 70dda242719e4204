// The table of sessions. Problems of a session are marked next to its name.

import type { PageJson } from '../../wire/lists.ts'
import type { SessionJson } from '../../wire/sessions.ts'
import type { WindowJson } from '../../wire/windows.ts'
import { formatAge, formatNumber, pluralize } from '../format.ts'
import { Gauge } from '../gauge.tsx'
import { type Column, List } from '../list.tsx'
import { DetailLink, Region, sessionPath } from '../regions.tsx'

export interface SessionRow {
  readonly session: SessionJson
  /** Newest first. */
  readonly windows: readonly WindowJson[]
}

export interface SessionsProps {
  readonly page: PageJson<SessionRow>
  readonly cursor: string | undefined
  readonly freezeAt: number
  readonly now: number
}

const columns: readonly Column[] = [
  { title: 'Session' },
  { title: 'Context' },
  { title: 'Tokens', kind: 'number wide' },
  { title: 'Turns', kind: 'number wide' },
  { title: 'Window', kind: 'wide' },
  { title: 'Last turn', kind: 'age wide' },
]

export function sessionsUrl(cursor: string | undefined): string {
  return `/cwm/ui/sessions${cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`}`
}

export function Sessions({ page: { data, next_cursor }, cursor, freezeAt, now }: SessionsProps) {
  if (data.length === 0 && cursor === undefined) {
    return (
      <Region id="sessions" url={sessionsUrl(undefined)}>
        <div class="empty">
          <p>No sessions yet.</p>
          <p>
            Point an SDK at <code>/v1</code> of this cwm. Each conversation becomes a session.
          </p>
        </div>
      </Region>
    )
  }
  return (
    <List name="sessions" columns={columns} urlOf={sessionsUrl} cursor={cursor} nextCursor={next_cursor}>
      {data.map(({ session, windows }) => (
        <tr>
          <th scope="row">
            <DetailLink path={sessionPath(session.id)} id={`session-${session.id}`}>
              {session.id}
            </DetailLink>
            <Marks session={session} />
          </th>
          <td class="context">
            <SessionGauge session={session} windows={windows} freezeAt={freezeAt} />
          </td>
          <td class="number wide">{session.usage === undefined ? '–' : formatNumber(session.usage.total_tokens)}</td>
          <td class="number wide">{formatNumber(session.turns)}</td>
          <td class="wide">{session.base_window ?? ''}</td>
          <td class="age wide">
            <time datetime={session.last_turn_at}>{formatAge(session.last_turn_at, now)}</time>
          </td>
        </tr>
      ))}
    </List>
  )
}

export function SessionGauge({ session, windows, freezeAt }: SessionRow & { readonly freezeAt: number }) {
  const { usage, limit } = session
  if (usage === undefined) return <span class="quiet">no finished turns</span>
  if (limit === undefined) return <span class="quiet">{pluralize(usage.total_tokens, 'token')}, limit unknown</span>
  const frozen = windows.flatMap(({ name, receipt }) =>
    receipt === undefined ? [] : [{ name, tokens: receipt.tokens }],
  )
  return (
    <Gauge
      used={usage.total_tokens}
      cached={usage.cached_tokens ?? 0}
      limit={limit}
      freezeAt={freezeAt}
      windows={frozen}
    />
  )
}

function Marks({ session: { rollover, truncation, prefix_break } }: { readonly session: SessionJson }) {
  return (
    <>
      {rollover === undefined ? null : <span class="mark">cut</span>}
      {truncation === undefined ? null : <span class="mark bad">answer cut</span>}
      {prefix_break === undefined ? null : <span class="mark bad">cold</span>}
    </>
  )
}
