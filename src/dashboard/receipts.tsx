// Dialog contents: the receipts of actions, and the confirmations before permanent ones.

import type { Child } from 'hono/jsx'
import type { DeletionJson } from '../wire/deletions.ts'
import type { ThawReceiptJson } from '../wire/receipts.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { WindowJson } from '../wire/windows.ts'
import { FieldList, Note, Remarks, Submit } from './components.tsx'
import { durabilities, formatDuration, formatNumber, pluralize } from './format.ts'
import { sessionPath, windowPath } from './regions.tsx'

/** What an action did, in the dialog. */
export function Receipt({ title, children }: { readonly title: string; readonly children?: Child }) {
  return (
    <article>
      <h2 tabindex={-1}>{title}</h2>
      {children}
      <form method="dialog">
        <button type="submit" class="primary">
          Done
        </button>
      </form>
    </article>
  )
}

export function Frozen({ window: { name, state, reason, receipt } }: { readonly window: WindowJson }) {
  if (state === 'failed' || receipt === undefined) {
    return (
      <Receipt title={state === 'failed' ? `${name} could not be frozen` : `${name} is being frozen`}>
        {reason === undefined ? null : <Note kind="bad">{reason}</Note>}
      </Receipt>
    )
  }
  return (
    <Receipt title={`Frozen: ${name}`}>
      <FieldList
        fields={[
          ['Tokens', formatNumber(receipt.tokens)],
          ['Restorable', `${formatNumber(receipt.restorable_tokens)} in ${pluralize(receipt.chunks, 'chunk')}`],
          ['Stored', durabilities[receipt.durability]],
          ['Pinned', receipt.pinned ? 'yes' : 'no'],
        ]}
      />
      <Remarks receipt={receipt} />
    </Receipt>
  )
}

export function Thawed({ receipt }: { readonly receipt: ThawReceiptJson }) {
  const { total, l1, l2 } = receipt.tiers_before
  return (
    <Receipt title={`Thawed: ${receipt.window}`}>
      <FieldList
        fields={[
          ['Session', <code>{receipt.session_id}</code>],
          [
            'Restored',
            receipt.restored_tokens === null
              ? 'unknown, not reported by the engine'
              : `${formatNumber(receipt.restored_tokens)} of ${pluralize(receipt.tokens, 'token')}`,
          ],
          ['Recomputed', receipt.recomputed_tokens === null ? undefined : formatNumber(receipt.recomputed_tokens)],
          ['Chunks before thaw', `${total} in total; L1 ${l1 ?? '?'}, L2 ${l2 ?? '?'}`],
          ['Took', receipt.ms.total === undefined ? undefined : formatDuration(receipt.ms.total)],
        ]}
      />
      {receipt.drift ? <Note kind="bad">The template or tokenizer has changed since the freeze.</Note> : null}
      <Remarks receipt={receipt} />
      <Note kind="quiet">
        Send only new messages, with <code>x-cwm-session: {receipt.session_id}</code>.
      </Note>
    </Receipt>
  )
}

export function Deleted({ deletion }: { readonly deletion: DeletionJson }) {
  const { kind, name, state, deleted_chunks, residual_chunks, kept_chunks, kept_for, held_by } = deletion
  return (
    <Receipt title={`${kind === 'window' ? 'Deleted' : 'Ended'}: ${name}`}>
      <FieldList
        fields={[
          ['Chunks deleted', formatNumber(deleted_chunks)],
          ['Chunks left', residual_chunks === null ? 'unknown' : formatNumber(residual_chunks)],
          ['Chunks kept', kept_chunks === 0 ? undefined : `${formatNumber(kept_chunks)} for: ${kept_for.join(', ')}`],
          ['Text kept by', held_by === null ? undefined : pluralize(held_by.count, 'session')],
          ['Salt', deletion.lineage_retired ? 'retired, never used again' : 'still in use'],
        ]}
      />
      {held_by === null ? null : (
        <Note kind="quiet">
          The sessions based on this window continue. Its text is deleted when the last one ends.
        </Note>
      )}
      {state === 'open' && held_by === null ? (
        <Note kind="bad">Not everything is deleted yet. cwm retries in the background.</Note>
      ) : null}
      <Remarks receipt={deletion} />
    </Receipt>
  )
}

/** The ways to proceed, and the way back. */
export function Choices({ children }: { readonly children?: Child }) {
  return (
    <div class="choice">
      {children}
      <form method="dialog">
        <button type="submit">Cancel</button>
      </form>
    </div>
  )
}

interface ConfirmationProps {
  readonly title: string
  readonly path: string
  readonly action: string
  /** Hidden form fields. */
  readonly fields?: Readonly<Record<string, string>>
  /** Another way to proceed. */
  readonly other?: { readonly action: string; readonly fields: Readonly<Record<string, string>> } | undefined
  /** Whether it cannot be undone. True by default. */
  readonly isPermanent?: boolean
  /** Below the question. */
  readonly details?: Child
  readonly children?: Child
}

/** Asks for confirmation before an action. */
export function Confirmation({
  title,
  path,
  action,
  fields = {},
  other,
  isPermanent = true,
  details,
  children,
}: ConfirmationProps) {
  const choices = [{ action, fields }, ...(other === undefined ? [] : [other])]
  return (
    <article>
      <h2 tabindex={-1}>{title}</h2>
      <p>
        {children}
        {isPermanent ? ' This is permanent.' : ''}
      </p>
      {details}
      <Choices>
        {choices.map((choice) => (
          <form hx-post={path} hx-target="#dialog-body" hx-disabled-elt="find button">
            {Object.entries(choice.fields).map(([name, value]) => (
              <input type="hidden" name={name} value={value} />
            ))}
            <Submit kind="danger">{choice.action}</Submit>
          </form>
        ))}
      </Choices>
    </article>
  )
}

export function ConfirmEnd({ id }: { readonly id: string }) {
  return (
    <Confirmation title={`End ${id}?`} path={`${sessionPath(id)}/end`} action="End">
      Deletes the session and its KV, except for chunks that a window holds. Its windows stay.
    </Confirmation>
  )
}

/** Asks for confirmation before a thaw into a session that has turns of its own. */
export function ConfirmReplace({ window, session }: { readonly window: string; readonly session: SessionJson }) {
  const { id, turns, usage, base_window } = session
  return (
    <Confirmation
      title={`Replace the context of ${id}?`}
      path={`${windowPath(window)}/thaw`}
      action="Replace"
      fields={{ session_id: id, replace: 'true' }}
    >
      {id} has {pluralize(turns, 'turn')}
      {usage === undefined ? '' : ` (${pluralize(usage.total_tokens, 'token')})`}
      {base_window === undefined ? '' : ` based on window ${base_window}`}. Its next turn would start from {window}{' '}
      instead. To keep it, thaw into a new session.
    </Confirmation>
  )
}
