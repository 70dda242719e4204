// Keys in a table, the form that creates one, and the receipts.

import type { CreatedKeyJson, KeyJson } from '../../wire/keys.ts'
import { Ago, Copy, Field, FieldList, Note, Submit } from '../components.tsx'
import { formatNumber } from '../format.ts'
import { List, type ListView } from '../list.tsx'
import { ListAddress, type ListFilter, plainPage } from '../list-address.ts'
import { Confirmation, Receipt } from '../receipts.tsx'
import type { Column } from '../table.tsx'

const columns: readonly Column[] = [
  { title: 'Key' },
  { title: 'Tenant' },
  { title: 'Expires' },
  { title: 'Limits a minute', kind: 'wide' },
  { title: 'Last used', kind: 'wide' },
  { title: 'Created', kind: 'wide' },
  { title: 'Action', kind: 'action' },
]

export const keyList = new ListAddress<ListFilter>({
  name: 'keys',
  title: 'Keys',
  defaults: {},
  conditions: [],
  pageQuery: plainPage,
})

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

export function Keys({ view }: { readonly view: ListView<ListFilter, KeyJson> }) {
  const { page, now } = view
  return (
    <List address={keyList} view={view} columns={columns} hint="Create one above.">
      {page.data.map(({ id, tenant, name, expired, expires_at, last_used_at, created_at, ...limits }) => (
        <tr>
          <th scope="row">{name}</th>
          <td>{tenant}</td>
          <td>{expired ? <span class="state bad">expired</span> : expires_at === null ? 'never' : utc(expires_at)}</td>
          <td class="wide">{limitsText(limits) || '–'}</td>
          <td class="wide">{last_used_at === null ? '–' : <Ago iso={last_used_at} now={now} />}</td>
          <td class="wide">{created_at === null ? '–' : <Ago iso={created_at} now={now} />}</td>
          <td class="action">
            {id === null ? <span class="quiet">in the settings</span> : <Revoke {...{ id, tenant, name }} />}
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
    <Confirmation title={`Revoke ${name} of ${tenant}?`} path={revokePath(id)} action="Revoke">
      cwm rejects the key from the next request on, and ends its event streams. Running answers finish.
    </Confirmation>
  )
}

export function Revoked({ revoked: { tenant, name } }: { readonly revoked: KeyJson }) {
  return (
    <Receipt title={`Revoked: ${name}`}>
      <FieldList fields={[['Tenant', tenant]]} />
    </Receipt>
  )
}
