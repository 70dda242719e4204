// Sessions: the table, and one of them with what can be done with it.

import { Gauge } from './gauge.tsx'
import { Facts, Field, Note, Submit } from './parts.tsx'
import type { Page, Session, Window } from './shapes.ts'
import { age, number, plural } from './words.ts'

export interface ShownSession {
  readonly session: Session
  /** Newest first. */
  readonly windows: readonly Window[]
}

export interface SessionsParts {
  readonly page: Page<ShownSession>
  readonly cursor: string | undefined
  readonly freezeAt: number
  readonly now: number
}

export const sessionPath = (id: string) => `/cwm/ui/sessions/${encodeURIComponent(id)}`

export function Sessions({ page: { data, next_cursor }, cursor, freezeAt, now }: SessionsParts) {
  if (data.length === 0 && cursor === undefined) {
    return (
      <div class="empty">
        <p>No session yet.</p>
        <p>
          Point an SDK at <code>/v1</code> of this cwm: each conversation becomes a session by itself.
        </p>
      </div>
    )
  }
  return (
    <>
      <input type="hidden" name="cursor" value={cursor ?? ''} />
      <table>
        <thead>
          <tr>
            <th scope="col">Session</th>
            <th scope="col">Context</th>
            <th scope="col" class="number wide">
              Tokens
            </th>
            <th scope="col" class="number wide">
              Turns
            </th>
            <th scope="col" class="wide">
              Window
            </th>
            <th scope="col" class="age wide">
              Last turn
            </th>
          </tr>
        </thead>
        <tbody>
          {data.map(({ session, windows }) => (
            <tr>
              <th scope="row">
                <button
                  type="button"
                  class="link"
                  id={`session-${session.id}`}
                  hx-get={sessionPath(session.id)}
                  hx-target="#dialog-body"
                >
                  {session.id}
                </button>
                <Marks session={session} />
              </th>
              <td class="context">
                <SessionGauge session={session} windows={windows} freezeAt={freezeAt} />
              </td>
              <td class="number wide">{session.usage === undefined ? '–' : number(session.usage.total_tokens)}</td>
              <td class="number wide">{number(session.turns)}</td>
              <td class="wide">{session.base_window ?? ''}</td>
              <td class="age wide">
                <time datetime={session.last_turn_at}>{age(session.last_turn_at, now)}</time>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <nav class="pages" aria-label="Pages of sessions">
        {cursor === undefined ? null : (
          <button type="button" id="sessions-first" hx-get="/cwm/ui/sessions" hx-target="#sessions">
            First page
          </button>
        )}
        {next_cursor === undefined ? null : (
          <button
            type="button"
            id="sessions-next"
            hx-get={`/cwm/ui/sessions?cursor=${encodeURIComponent(next_cursor)}`}
            hx-target="#sessions"
          >
            Next page
          </button>
        )}
      </nav>
    </>
  )
}

function SessionGauge({ session, windows, freezeAt }: ShownSession & { readonly freezeAt: number }) {
  const { usage, limit } = session
  if (usage === undefined) return <span class="quiet">no finished turn</span>
  if (limit === undefined) return <span class="quiet">{plural(usage.total_tokens, 'token')}, limit unknown</span>
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

function Marks({ session: { rollover, truncation, prefix_break } }: { readonly session: Session }) {
  return (
    <>
      {rollover === undefined ? null : <span class="mark">cut</span>}
      {truncation === undefined ? null : <span class="mark bad">answer cut</span>}
      {prefix_break === undefined ? null : <span class="mark bad">cold</span>}
    </>
  )
}

export function SessionDetail({
  session,
  windows,
  freezeAt,
  now,
}: ShownSession & Omit<SessionsParts, 'page' | 'cursor'>) {
  const { id, usage, prefix_break: broken, rollover, thaw } = session
  return (
    <article>
      <h2 tabindex={-1}>{id}</h2>
      <p class="big-gauge">
        <SessionGauge session={session} windows={windows} freezeAt={freezeAt} />
      </p>
      <Facts
        of={[
          ['Model', session.model],
          ['Turns', number(session.turns)],
          ['Last turn', age(session.last_turn_at, now)],
          ['Prompt', usage && plural(usage.prompt_tokens, 'token')],
          [
            'Of it cached',
            usage && (usage.cached_tokens === null ? 'the engine does not tell' : number(usage.cached_tokens)),
          ],
          ['Limit', session.limit && plural(session.limit, 'token')],
          ['Behind window', session.base_window],
          ['Restored by its thaw', thaw && `${number(thaw.restored_tokens ?? 0)} of ${plural(thaw.tokens, 'token')}`],
          ['Cut', rollover && `${plural(rollover.messages, 'message')} left out, whole in ${rollover.window}`],
        ]}
      />
      {broken === undefined ? null : (
        <Note kind="bad">
          The last turn was cold: {broken.cause}
          {broken.message === undefined ? '' : `, message ${broken.message}`}
          {broken.field === undefined ? '' : `, ${broken.field}`}.
        </Note>
      )}
      {session.truncation === undefined ? null : <Note kind="bad">The context limit cut the last answer.</Note>}
      {windows.length === 0 ? null : (
        <>
          <h3>Frozen from it</h3>
          <ul class="plain">
            {windows.map(({ name, receipt }) => (
              <li>
                <button
                  type="button"
                  class="link"
                  hx-get={`/cwm/ui/windows/${encodeURIComponent(name)}`}
                  hx-target="#dialog-body"
                >
                  {name}
                </button>
                {receipt === undefined ? '' : ` ${plural(receipt.tokens, 'token')}`}
              </li>
            ))}
          </ul>
        </>
      )}
      <h3>Freeze</h3>
      {session.freezable === false ? (
        <Note kind="quiet">Its last turn is not at hand. Send a turn with the header x-cwm-freeze.</Note>
      ) : (
        <form hx-post="/cwm/ui/windows" hx-target="#dialog-body" hx-disabled-elt="find button">
          <input type="hidden" name="session_id" value={id} />
          <Field name="name" label="Name of the window" required />
          <Field name="tags" label="Tags" hint="with commas between them" />
          <Field name="note" label="Note" />
          <Submit>Freeze</Submit>
        </form>
      )}
      <h3>End</h3>
      <form hx-get={`${sessionPath(id)}/end`} hx-target="#dialog-body">
        <button type="submit" class="danger">
          End session…
        </button>
      </form>
    </article>
  )
}
