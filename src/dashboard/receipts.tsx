// What was done, and what was proved of it: the answers to actions, in the dialog. And the questions before what cannot be undone.

import type { Child } from 'hono/jsx'
import type { DeletionJson } from '../wire/deletions.ts'
import type { ThawReceiptJson } from '../wire/receipts.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { WindowJson } from '../wire/windows.ts'
import { FieldList, Note, Remarks, Submit } from './components.tsx'
import { durabilities, milliseconds, number, plural } from './format.ts'
import { sessionPath, windowPath } from './list.tsx'

function Receipt({ title, children }: { readonly title: string; readonly children?: Child }) {
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
        of={[
          ['Tokens', number(receipt.tokens)],
          ['Restorable', `${number(receipt.restorable_tokens)} in ${plural(receipt.chunks, 'chunk')}`],
          ['Stored', durabilities[receipt.durability]],
          ['Pinned', receipt.pinned ? 'yes' : 'no'],
        ]}
      />
      <Remarks of={receipt} />
    </Receipt>
  )
}

export function Thawed({ receipt }: { readonly receipt: ThawReceiptJson }) {
  const { total, l1, l2 } = receipt.tiers_before
  return (
    <Receipt title={`Thawed: ${receipt.window}`}>
      <FieldList
        of={[
          ['Session', <code>{receipt.session_id}</code>],
          [
            'Restored',
            receipt.restored_tokens === null
              ? 'the engine does not tell'
              : `${number(receipt.restored_tokens)} of ${plural(receipt.tokens, 'token')}`,
          ],
          ['Computed anew', receipt.recomputed_tokens === null ? undefined : number(receipt.recomputed_tokens)],
          ['Chunks before', `${total} in all; L1 ${l1 ?? '?'}, L2 ${l2 ?? '?'}`],
          ['Took', receipt.ms.total === undefined ? undefined : milliseconds(receipt.ms.total)],
        ]}
      />
      {receipt.drift ? <Note kind="bad">Template or tokenizer have changed since the freeze.</Note> : null}
      <Remarks of={receipt} />
      <Note kind="quiet">
        Send only what is new, with <code>x-cwm-session: {receipt.session_id}</code>.
      </Note>
    </Receipt>
  )
}

export function Deleted({ deletion }: { readonly deletion: DeletionJson }) {
  const { kind, name, state, deleted_chunks, residual_chunks, kept_chunks, kept_for } = deletion
  return (
    <Receipt title={`${kind === 'window' ? 'Deleted' : 'Ended'}: ${name}`}>
      <FieldList
        of={[
          ['Chunks deleted', number(deleted_chunks)],
          ['Chunks left', residual_chunks === null ? 'nobody could tell' : number(residual_chunks)],
          ['Chunks kept', kept_chunks === 0 ? undefined : `${number(kept_chunks)} for a living ${kept_for.join(', ')}`],
          ['Its salt', deletion.lineage_retired ? 'never used again' : 'still in use'],
        ]}
      />
      {state === 'open' ? <Note kind="bad">Not all is gone yet: it is tried again in the background.</Note> : null}
      <Remarks of={deletion} />
    </Receipt>
  )
}

interface ConfirmationProps {
  readonly title: string
  readonly path: string
  readonly action: string
  /** Sent along: a hidden field each. */
  readonly fields?: Readonly<Record<string, string>>
  readonly children?: Child
}

/** Before what cannot be undone. */
function Confirmation({ title, path, action, fields = {}, children }: ConfirmationProps) {
  return (
    <article>
      <h2 tabindex={-1}>{title}</h2>
      <p>{children} This cannot be undone.</p>
      <div class="choice">
        <form hx-post={path} hx-target="#dialog-body" hx-disabled-elt="find button">
          {Object.entries(fields).map(([name, value]) => (
            <input type="hidden" name={name} value={value} />
          ))}
          <Submit kind="danger">{action}</Submit>
        </form>
        <form method="dialog">
          <button type="submit">Keep it</button>
        </form>
      </div>
    </article>
  )
}

export function ConfirmDelete({ window: { name, receipt } }: { readonly window: WindowJson }) {
  const kv = receipt === undefined ? 'its KV' : `the KV of ${plural(receipt.tokens, 'token')}`
  return (
    <Confirmation title={`Delete ${name}?`} path={`${windowPath(name)}/delete`} action="Delete">
      Its messages and {kv} go from every tier, but for what a session or another window still holds.
    </Confirmation>
  )
}

export function ConfirmEnd({ id }: { readonly id: string }) {
  return (
    <Confirmation title={`End ${id}?`} path={`${sessionPath(id)}/end`} action="End">
      The session and its KV go, but for what a window holds. Its windows stay.
    </Confirmation>
  )
}

/** Before a thaw into a session with turns of its own. */
export function ConfirmReplace({ window, session }: { readonly window: string; readonly session: SessionJson }) {
  const { id, turns, usage, base_window } = session
  return (
    <Confirmation
      title={`Replace the context of ${id}?`}
      path={`${windowPath(window)}/thaw`}
      action="Replace"
      fields={{ session_id: id, replace: 'true' }}
    >
      {id} has {plural(turns, 'turn')}
      {usage === undefined ? '' : ` (${plural(usage.total_tokens, 'token')})`}
      {base_window === undefined ? '' : ` behind window ${base_window}`}. Its next turn would start from {window}{' '}
      instead. To keep it, thaw into a new session.
    </Confirmation>
  )
}

/** In the dialog's stead where there is nothing to show, above its form where what was typed shall stay. */
export function ErrorNotice({ message, above }: { readonly message: string; readonly above: boolean }) {
  if (above) return <Note kind="bad">{message}</Note>
  return (
    <Receipt title="That did not work">
      <Note kind="bad">{message}</Note>
    </Receipt>
  )
}
