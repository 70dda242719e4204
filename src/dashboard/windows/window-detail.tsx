// The details of a window with its family tree and its actions.

import type { WindowJson } from '../../wire/windows.ts'
import { Copy, Field, FieldList, Note, Remarks, Submit } from '../components.tsx'
import { durabilities, formatAge, formatNumber, pluralize } from '../format.ts'
import { DetailLink, sessionPath, windowPath } from '../regions.tsx'
import { formatRestorable, State, Tags, Tiers } from './window-state.tsx'

export interface Family {
  /** From the parent upward. */
  readonly ancestors: readonly string[]
  readonly children: readonly string[]
}

export function WindowDetail({
  window,
  family,
  now,
}: {
  readonly window: WindowJson
  readonly family: Family
  readonly now: number
}) {
  const { name, receipt, state } = window
  return (
    <article>
      <h2 tabindex={-1}>{name}</h2>
      <p class="links">
        <Copy text={name} label="name" />
        {state === 'frozen' ? <FrozenLinks name={name} /> : null}
      </p>
      {window.reason === undefined ? null : <Note kind="bad">{window.reason}</Note>}
      {window.note === undefined ? null : <Note kind="quiet">{window.note}</Note>}
      <FieldList
        fields={[
          ['State', <State window={window} />],
          ['Tokens', receipt && formatNumber(receipt.tokens)],
          ['Restorable', receipt && formatRestorable(receipt)],
          ['Stored', receipt && durabilities[receipt.durability]],
          ['Chunks', receipt && <Tiers receipt={receipt} />],
          ['Messages', window.messages],
          ['Model', window.model],
          [
            'From session',
            window.session_id === undefined ? undefined : (
              <DetailLink path={sessionPath(window.session_id)}>{window.session_id}</DetailLink>
            ),
          ],
          ['Tags', window.tags === undefined || window.tags.length === 0 ? undefined : <Tags tags={window.tags} />],
          ['Created', window.created_at && formatAge(window.created_at, now)],
          [
            'Thawed',
            window.thawed_at && `${pluralize(window.thaws ?? 1, 'time')}, last ${formatAge(window.thawed_at, now)}`,
          ],
        ]}
      />
      {receipt === undefined ? null : <Remarks receipt={receipt} />}
      {family.ancestors.length + family.children.length === 0 ? null : (
        <>
          <h3>Family</h3>
          <FamilyTree name={name} family={family} />
        </>
      )}
      {state === 'frozen' ? (
        <>
          <h3>Thaw</h3>
          <form hx-post={`${windowPath(name)}/thaw`} hx-target="#dialog-body" hx-disabled-elt="find button">
            <Submit>Thaw into a new session</Submit>
          </form>
          <form hx-post={`${windowPath(name)}/thaw`} hx-target="#dialog-body" hx-disabled-elt="find button">
            <Field
              name="session_id"
              label="Session"
              hint="Its id. You are asked for confirmation if it has turns."
              required
            />
            <Submit kind="secondary">Thaw into this session</Submit>
          </form>
          <h3>Clone</h3>
          <form hx-post={`${windowPath(name)}/clone`} hx-target="#dialog-body" hx-disabled-elt="find button">
            <Field name="name" label="Clone name" required />
            <Field
              name="at"
              label="Messages to keep"
              type="number"
              hint="Counted from the start; whole exchanges only. Leave empty for all messages."
            />
            <Submit>Clone</Submit>
          </form>
        </>
      ) : null}
      <h3>Delete</h3>
      <form hx-get={`${windowPath(name)}/delete`} hx-target="#dialog-body">
        <button type="submit" class="danger">
          Delete window…
        </button>
      </form>
    </article>
  )
}

function FrozenLinks({ name }: { readonly name: string }) {
  return (
    <>
      <a class="button" href={`${windowPath(name)}/messages`}>
        Messages
      </a>
      <a class="button" href={`/cwm/ui/ask?by=names&names=${encodeURIComponent(name)}`}>
        Ask
      </a>
      <a class="button" href={`${windowPath(name)}/export`} download>
        Export
      </a>
      <a class="button" href={`/cwm/ui/sessions?base_window=${encodeURIComponent(name)}`}>
        Sessions based on it
      </a>
    </>
  )
}

/** A tree from the oldest known ancestor down to this window and its children. */
function FamilyTree({ name, family: { ancestors, children } }: { readonly name: string; readonly family: Family }) {
  const line = [...ancestors].reverse()
  const leaf = (
    <li>
      <strong aria-current="true">{name}</strong>
      {children.length === 0 ? null : (
        <ul>
          {children.map((child) => (
            <li>
              <DetailLink path={windowPath(child)}>{child}</DetailLink>
            </li>
          ))}
        </ul>
      )}
    </li>
  )
  const tree = line.reduceRight(
    (below, ancestor) => (
      <li>
        <DetailLink path={windowPath(ancestor)}>{ancestor}</DetailLink>
        <ul>{below}</ul>
      </li>
    ),
    leaf,
  )
  return <ul class="family">{tree}</ul>
}
