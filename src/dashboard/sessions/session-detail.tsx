// The details of a session, with its actions.

import { Copy, Field, FieldList, Note, Submit } from '../components.tsx'
import { formatAge, formatNumber, pluralize } from '../format.ts'
import { MAX_GAUGE_WINDOWS } from '../queries.ts'
import { DetailLink, sessionPath, windowPath } from '../regions.tsx'
import { SessionGauge, type SessionRow } from './sessions.tsx'

export function SessionDetail({ row, now }: { readonly row: SessionRow; readonly now: number }) {
  const { session, windows } = row
  const { id, usage, prefix_break: broken, rollover, thaw } = session
  const allWindows = `/cwm/ui/windows?session_id=${encodeURIComponent(id)}`
  return (
    <article>
      <h2 tabindex={-1}>{id}</h2>
      <p class="links">
        <Copy text={id} label="id" />
        <a class="button" href={`${sessionPath(id)}/messages`}>
          Messages
        </a>
        <a class="button" href={allWindows}>
          Windows
        </a>
      </p>
      <p class="big-gauge">
        <SessionGauge {...row} />
      </p>
      <FieldList
        fields={[
          ['Model', session.model],
          ['Turns', formatNumber(session.turns)],
          ['Last turn', formatAge(session.last_turn_at, now)],
          ['Prompt', usage && pluralize(usage.prompt_tokens, 'token')],
          [
            'Cached',
            usage &&
              (usage.cached_tokens === null
                ? 'unknown, not reported by the engine'
                : formatNumber(usage.cached_tokens)),
          ],
          ['Limit', session.limit && pluralize(session.limit, 'token')],
          [
            'Window',
            session.base_window === undefined ? undefined : (
              <DetailLink path={windowPath(session.base_window)}>{session.base_window}</DetailLink>
            ),
          ],
          [
            'Restored at thaw',
            thaw && `${formatNumber(thaw.restored_tokens ?? 0)} of ${pluralize(thaw.tokens, 'token')}`,
          ],
          ['Cut', rollover && `${pluralize(rollover.messages, 'message')} left out, complete in ${rollover.window}`],
        ]}
      />
      {broken === undefined ? null : (
        <Note kind="bad">
          The last turn was cold: {broken.cause}
          {broken.message === undefined ? '' : `, message ${broken.message}`}
          {broken.field === undefined ? '' : `, ${broken.field}`}.
        </Note>
      )}
      {session.thaw_loss === undefined ? null : (
        <Note kind="bad">
          The first turn after the thaw found {formatNumber(session.thaw_loss.cached_tokens)} of{' '}
          {pluralize(session.thaw_loss.expected_tokens, 'token')} cached: {session.thaw_loss.cause}.
        </Note>
      )}
      {session.truncation === undefined ? null : <Note kind="bad">The context limit cut the last answer.</Note>}
      {windows.length === 0 ? null : (
        <>
          <h3>Windows</h3>
          <ul class="plain">
            {windows.map(({ name, receipt }) => (
              <li>
                <DetailLink path={windowPath(name)}>{name}</DetailLink>
                {receipt === undefined ? '' : ` ${pluralize(receipt.tokens, 'token')}`}
              </li>
            ))}
          </ul>
          {windows.length < MAX_GAUGE_WINDOWS ? null : (
            <p class="quiet">
              The newest {MAX_GAUGE_WINDOWS}. <a href={allWindows}>Show all windows of this session</a>
            </p>
          )}
        </>
      )}
      <h3>Freeze</h3>
      {session.freezable === false ? (
        <Note kind="quiet">No turn since the last thaw is retained. Send a turn with the header x-cwm-freeze.</Note>
      ) : (
        <form hx-post="/cwm/ui/windows" hx-target="#dialog-body" hx-disabled-elt="find button">
          <input type="hidden" name="session_id" value={id} />
          <Field name="name" label="Window name" required />
          <Field name="tags" label="Tags" hint="Separate with commas." />
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
