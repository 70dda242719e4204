// One change to the selected windows: the bar of actions, the confirmation, and the receipt.

import type { BulkAnswerJson, BulkBody } from '../../wire/bulk.ts'
import type { DependentSessionsJson } from '../../wire/dependent-sessions.ts'
import { FieldList, Note, Submit } from '../components.tsx'
import { formatNumber, pluralize } from '../format.ts'
import { Choices, Receipt } from '../receipts.tsx'
import { DetailLink, sessionPath, windowPath } from '../regions.tsx'

export type BulkAction = BulkBody['action']

export const bulkWords: Readonly<Record<BulkAction, { readonly verb: string; readonly done: string }>> = {
  tag: { verb: 'Add tags', done: 'Tagged' },
  untag: { verb: 'Remove tags', done: 'Untagged' },
  pin: { verb: 'Pin', done: 'Pinned' },
  unpin: { verb: 'Unpin', done: 'Unpinned' },
  delete: { verb: 'Delete', done: 'Deleted' },
}

/** Windows that a confirmation or a receipt names. */
const MAX_NAMED = 20

/** The boxes in the list belong to its form. Its buttons work once something is selected (assets/lists.js). */
export function BulkBar() {
  return (
    <form id="bulk" hx-post="/cwm/ui/windows/bulk/confirm" hx-target="#dialog-body" aria-label="Selected windows">
      <output id="picked">Nothing selected on this page</output>
      <label>
        <span>Tags</span>
        <input name="tags" autocomplete="off" autocapitalize="none" spellcheck={false} placeholder="law, 2026" />
      </label>
      {Object.entries(bulkWords).map(([action, { verb }]) => (
        <button type="submit" name="action" value={action} class={action === 'delete' ? 'danger' : undefined} disabled>
          {verb}
          {action === 'delete' ? '…' : ''}
        </button>
      ))}
    </form>
  )
}

interface ConfirmBulkProps {
  readonly action: BulkAction
  readonly names: readonly string[]
  readonly tags: readonly string[]
  /** For a delete: the sessions based on each of these windows. */
  readonly dependents: readonly (readonly [window: string, sessions: DependentSessionsJson])[]
}

export function ConfirmBulk({ action, names, tags, dependents }: ConfirmBulkProps) {
  const { verb } = bulkWords[action]
  const count = pluralize(names.length, 'window')
  const what = tags.length === 0 ? '' : `: ${tags.join(', ')}`
  const choices = [
    { words: action === 'delete' ? `Delete ${count}` : verb, sessions: 'keep' },
    ...(dependents.length === 0 ? [] : [{ words: `Delete ${count} and end their sessions`, sessions: 'end' }]),
  ]
  return (
    <article>
      <h2 tabindex={-1}>
        {verb} ({count})?
      </h2>
      {what === '' ? null : <p>Tags{what}</p>}
      <Names names={names} />
      {action === 'delete' ? <p>Deletes their messages, and the KV that only they hold. This is permanent.</p> : null}
      {dependents.map(([window, sessions]) => (
        <Dependents window={window} sessions={sessions} />
      ))}
      <Choices>
        {choices.map(({ words, sessions }) => (
          <form hx-post="/cwm/ui/windows/bulk" hx-target="#dialog-body" hx-disabled-elt="find button">
            {names.map((name) => (
              <input type="hidden" name="name" value={name} />
            ))}
            <input type="hidden" name="action" value={action} />
            <input type="hidden" name="tags" value={tags.join(' ')} />
            <input type="hidden" name="sessions" value={sessions} />
            <Submit kind={action === 'delete' ? 'danger' : 'primary'}>{words}</Submit>
          </form>
        ))}
      </Choices>
    </article>
  )
}

function Names({ names }: { readonly names: readonly string[] }) {
  return (
    <ul class="plain names">
      {names.slice(0, MAX_NAMED).map((name) => (
        <li>{name}</li>
      ))}
      {names.length > MAX_NAMED ? <li class="quiet">and {formatNumber(names.length - MAX_NAMED)} more</li> : null}
    </ul>
  )
}

/** Which sessions are based on a window that is about to be deleted. */
export function Dependents({
  window,
  sessions: { count, sessions },
}: {
  readonly window: string
  readonly sessions: DependentSessionsJson
}) {
  return (
    <Note kind="weak">
      {pluralize(count, 'session')} based on {window} will continue, and keep its text until the last one ends:{' '}
      {sessions.map((id, n) => (
        <>
          {n === 0 ? '' : ', '}
          <DetailLink path={sessionPath(id)}>{id}</DetailLink>
        </>
      ))}
      {count > sessions.length ? `, and ${formatNumber(count - sessions.length)} more` : ''}
    </Note>
  )
}

export function BulkReceipt({ answer: { action, changed, failed, results } }: { readonly answer: BulkAnswerJson }) {
  const deletions = results.flatMap(({ deletion }) => (deletion === undefined ? [] : [deletion]))
  const sum = (of: (deletion: (typeof deletions)[number]) => number) =>
    formatNumber(deletions.reduce((total, deletion) => total + of(deletion), 0))
  const held = deletions.filter(({ held_by }) => held_by !== null).length
  return (
    <Receipt title={`${bulkWords[action].done}: ${pluralize(changed, 'window')}`}>
      {results
        .filter(({ error }) => error !== null)
        .map(({ name, error }) => (
          <Note kind="bad">
            <DetailLink path={windowPath(name)}>{name}</DetailLink>: {error?.message}
          </Note>
        ))}
      <FieldList
        fields={[
          ['Changed', formatNumber(changed)],
          ['Failed', failed === 0 ? undefined : formatNumber(failed)],
          ['Chunks deleted', action === 'delete' ? sum(({ deleted_chunks }) => deleted_chunks) : undefined],
          ['Chunks kept', action === 'delete' ? sum(({ kept_chunks }) => kept_chunks) : undefined],
          ['Text kept by sessions', held === 0 ? undefined : `of ${pluralize(held, 'window')}`],
        ]}
      />
    </Receipt>
  )
}
