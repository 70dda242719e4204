// Who may read the messages of a tenant: the tenant. The operator, who acts for tenants with its own key, only if a setting allows it; then
// each access is in the tenant's audit log, and so is each refused one.

import { CwmError } from '../base/errors.ts'
import type { AuditEntry } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { Audit } from '../journal/audit.ts'

export interface ContentAccessParts {
  /** The setting `operator_reads_messages`. */
  readonly operatorReads: boolean
  readonly audit: Pick<Audit, 'record'>
}

/** What is read. */
export type Reading = Pick<AuditEntry, 'action' | 'target' | 'name'>

export class ContentAccess {
  readonly #parts: ContentAccessParts

  constructor(parts: ContentAccessParts) {
    this.#parts = parts
  }

  /** Throws `OPERATOR_MAY_NOT_READ`. Call it for anything that returns messages, or answers made of them. */
  require({ tenant, actor, operator }: Pick<Caller, 'tenant' | 'actor' | 'operator'>, reading: Reading): void {
    const { operatorReads, audit } = this.#parts
    if (!operator || operatorReads) return
    audit.record({ ...reading, tenant, actor, outcome: 'operator_may_not_read' })
    throw new CwmError(
      'OPERATOR_MAY_NOT_READ',
      "the operator's key does not read the messages of tenants; the setting operator_reads_messages allows it",
      { param: 'authorization' },
    )
  }

  /** Records that the operator has read messages. A tenant's own reading is not recorded. */
  recordRead({ tenant, actor, operator }: Pick<Caller, 'tenant' | 'actor' | 'operator'>, reading: Reading): void {
    if (operator) this.#parts.audit.record({ ...reading, tenant, actor, outcome: 'ok' })
  }
}
