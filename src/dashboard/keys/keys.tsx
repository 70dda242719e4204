// Keys in a table, the form that creates one, and the receipts.

import type { CreatedKeyJson, KeyJson } from '../../wire/keys.ts'
import type { PageJson } from '../../wire/lists.ts'
import { Ago, Copy, Field, FieldList, Note, Submit } from '../components.tsx'
import { formatNumber } from '../format.ts'
import { type Column, List } from '../list.tsx'
import { Receipt } from '../receipts.tsx'

const columns: readonly Column[] = [
  { title: 'Key' },
  { title: 'Tenant' },
  { title: 'Expires' },
  { title: 'Limits a minute', kind: 'wide' },
  { title: 'Last used', kind: 'wide' },
  { title: 'Created', kind: 'wide' },
  { title: 'Action', kind: 'action' },
]

export const keysUrl = (cursor: string | undefined) =>
  `/cwm/ui/keys${cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`}`

/** For example `2027-01-31 00:00 UTC`. */
const utc = (iso: string) => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`

export function CreateForm() {
  return (
    <section class="card" aria-labelledby="create-title">
      <h2 id="create-title">Create a key</h2>
      <form class="create" hx-post="/cwm/ui/keys" hx-target="#dialog-body" hx-disabled-elt="find button">
        <Field name="tenant" label="Tenant" required />
        <Field name="name" label="Name" required />
        <Field name="days" label="Expires in days" type="number" hint="Leave empty for a key that does not expire." />
        <Field
          name="requests_per_minute"
          label="Requests a minute"
          type="number"
          hint="Of this key alone. Leave empty for the limits of its tenant only."
        />
        <Field name="tokens_per_minute" label="Computed tokens a minute" type="number" />
        <Submit>Create key</Submit>
      </form>
    </section>
  )
}

interface KeysProps {
  readonly page: PageJson<KeyJson>
  readonly cursor: string | undefined
  readonly now: number
}

export function Keys({ page, cursor, now }: KeysProps) {
  return (
    <List name="keys" columns={columns} page={page} urlOf={keysUrl} cursor={cursor}>
      {page.data.map(({ id, tenant, name, expired, expires_at, last_used_at, created_at, ...limits }) => (
        <tr>
          <th scope="row">{name}</th>
          <td>{tenant}</td>
          <td>{expired ? <span class="state bad">expired</span> : expires_at === null ? 'never' : utc(expires_at)}</td>
          <td class="wide">{limitsText(limits) || '–'}</td>
          <td class="wide">{last_used_at === null ? '–' : <Ago iso={last_used_at} now={now} />}</td>
          <td class="wide">{created_at === null ? 'in the settings' : <Ago iso={created_at} now={now} />}</td>
          <td class="action">
            {id === null ? <span class="quiet">settings file</span> : <Revoke {...{ id, tenant, name }} />}
          </td>
        </tr>
      ))}
    </List>
  )
}

interface RevokeProps {
  readonly id: string
  readonly tenant: string
  readonly name: string
}

const revokePath = (id: string) => `/cwm/ui/keys/${encodeURIComponent(id)}/revoke`

function Revoke({ id, tenant, name }: RevokeProps) {
  return (
    <form hx-get={revokePath(id)} hx-target="#dialog-body">
      <input type="hidden" name="tenant" value={tenant} />
      <input type="hidden" name="name" value={name} />
      <button type="submit" class="danger" id={`revoke-${id}`} aria-label={`Revoke ${name} of ${tenant}`}>
        Revoke…
      </button>
    </form>
  )
}

/** '' without limits. */
function limitsText({
  requests_per_minute: requests,
  tokens_per_minute: tokens,
}: Pick<KeyJson, 'requests_per_minute' | 'tokens_per_minute'>): string {
  return [
    ...(requests === null ? [] : [`${formatNumber(requests)} requests`]),
    ...(tokens === null ? [] : [`${formatNumber(tokens)} tokens`]),
  ].join(', ')
}

export function Created({ created }: { readonly created: CreatedKeyJson }) {
  const { tenant, name, secret, expires_at } = created
  return (
    <Receipt title={`Created: ${name}`}>
      <Note kind="weak">Copy the key now. It is not shown again: cwm stores only its hash.</Note>
      <FieldList
        fields={[
          [
            'Key',
            <>
              <code>{secret}</code> <Copy text={secret} label="key" />
            </>,
          ],
          ['Tenant', tenant],
          ['Expires', expires_at === null ? 'never' : utc(expires_at)],
          ['Limits a minute', limitsText(created) || 'those of its tenant'],
        ]}
      />
    </Receipt>
  )
}

export function ConfirmRevoke({ id, tenant, name }: RevokeProps) {
  return (
    <article>
      <h2 tabindex={-1}>
        Revoke {name} of {tenant}?
      </h2>
      <p>
        cwm rejects the key from the next request on, and ends its event streams. Running answers finish. This is
        permanent.
      </p>
      <div class="choice">
        <form hx-post={revokePath(id)} hx-target="#dialog-body" hx-disabled-elt="find button">
          <Submit kind="danger">Revoke</Submit>
        </form>
        <form method="dialog">
          <button type="submit">Cancel</button>
        </form>
      </div>
    </article>
  )
}

export function Revoked({ revoked: { tenant, name } }: { readonly revoked: KeyJson }) {
  return (
    <Receipt title={`Revoked: ${name}`}>
      <FieldList fields={[['Tenant', tenant]]} />
    </Receipt>
  )
}
