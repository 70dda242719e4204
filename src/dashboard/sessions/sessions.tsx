// The table of sessions. Problems of a session are marked next to its name.

import type { SessionJson } from '../../wire/sessions.ts'
import type { WindowJson } from '../../wire/windows.ts'
import { ChoiceFilter, FilterForm, orders, TextFilter } from '../filter-form.tsx'
import { formatAge, formatNumber, pluralize } from '../format.ts'
import { Gauge } from '../gauge.tsx'
import { List, type ListView } from '../list.tsx'
import { DetailLink, sessionPath, windowPath } from '../regions.tsx'
import type { Column } from '../table.tsx'
import { type SessionFilter, sessionList } from './filter.ts'

export interface SessionRow {
  readonly session: SessionJson
  /** Newest first. */
  readonly windows: readonly WindowJson[]
  /** Auto-freeze point as a share of the limit; 0 for never. */
  readonly freezeAt: number
}

const columns: readonly Column[] = [
  { title: 'Session' },
  { title: 'Context' },
  { title: 'Tokens', kind: 'number wide' },
  { title: 'Turns', kind: 'number wide' },
  { title: 'Window', kind: 'wide' },
  { title: 'Last turn', kind: 'age wide' },
]

const sorts = {
  last_turn: 'last turn',
  created: 'created',
  turns: 'turns',
  tokens: 'tokens',
  id: 'id',
} as const

const states = {
  '': 'any',
  named: 'named by a client',
  recognized: 'recognized by history',
  thawed: 'on a window',
  rolled_over: 'cut',
  truncated: 'answer cut',
  cold: 'cold',
} as const

export function SessionFilterForm({ filter }: { readonly filter: SessionFilter }) {
  return (
    <FilterForm name="sessions" label="Sessions" path={sessionList.path}>
      <TextFilter name="search" label="Search" value={filter.search} placeholder="id or window" />
      <TextFilter name="model" label="Model" value={filter.model} placeholder="whole name" />
      <ChoiceFilter name="state" label="State" options={states} chosen={filter.state} />
      <ChoiceFilter name="sort" label="Sort by" options={sorts} chosen={filter.sort} />
      <ChoiceFilter name="order" label="Order" options={orders} chosen={filter.order} />
      {filter.base_window === '' ? null : (
        <TextFilter name="base_window" label="Base window" value={filter.base_window} />
      )}
    </FilterForm>
  )
}

export function Sessions({ view }: { readonly view: ListView<SessionFilter, SessionRow> }) {
  const hint = (
    <>
      Point an SDK at <code>/v1</code> of this cwm. Each conversation becomes a session.
    </>
  )
  return (
    <List address={sessionList} view={view} columns={columns} hint={hint}>
      {view.page.data.map(({ session, windows, freezeAt }) => (
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
          <td class="wide">
            {session.base_window === undefined ? (
              ''
            ) : (
              <DetailLink path={windowPath(session.base_window)} id={`base-of-${session.id}`}>
                {session.base_window}
              </DetailLink>
            )}
          </td>
          <td class="age wide">
            <time datetime={session.last_turn_at}>{formatAge(session.last_turn_at, view.now)}</time>
          </td>
        </tr>
      ))}
    </List>
  )
}

export function SessionGauge({ session, windows, freezeAt }: SessionRow) {
  const { usage, limit } = session
  if (usage === undefined) return <span class="quiet">no finished turns</span>
  if (limit === undefined) return <span class="quiet">{pluralize(usage.total_tokens, 'token')}, limit unknown</span>
  const frozen = windows.flatMap(({ name, receipt }) =>
    receipt === undefined ? [] : [{ name, tokens: receipt.tokens }],
  )
  return (
    <Gauge
      used={usage.total_tokens}
      cached={usage.cached_tokens}
      limit={limit}
      freezeAt={freezeAt}
      windows={frozen}
      rollover={session.rollover?.window}
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
