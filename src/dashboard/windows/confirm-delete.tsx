// The question before a window is deleted, with the sessions based on it.

import type { WindowJson } from '../../wire/windows.ts'
import { pluralize } from '../format.ts'
import { Confirmation } from '../receipts.tsx'
import { windowPath } from '../regions.tsx'
import { Dependents } from './bulk.tsx'

export function ConfirmDelete({ window: { name, receipt, base_of } }: { readonly window: WindowJson }) {
  const kv = receipt === undefined ? 'its KV' : `the KV of ${pluralize(receipt.tokens, 'token')}`
  const isInUse = base_of !== undefined && base_of.count > 0
  const other = isInUse ? { action: 'Delete and end sessions', fields: { sessions: 'end' } } : undefined
  return (
    <Confirmation
      title={`Delete ${name}?`}
      path={`${windowPath(name)}/delete`}
      action="Delete"
      other={other}
      details={isInUse ? <Dependents window="this window" sessions={base_of} /> : null}
    >
      Deletes its messages, and {kv} from every tier, except for chunks that a session or another window still holds.
    </Confirmation>
  )
}
