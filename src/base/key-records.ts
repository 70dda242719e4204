// API keys that the operator created by REST. Keys of the settings file have no record.

import type { RateLimit } from './rates.ts'

export interface KeyRecord {
  /** Random. */
  readonly id: string
  readonly tenant: string
  /** Unique within the tenant: the audit log and the ledger tell its keys apart by name. */
  readonly name: string
  /** `keyHash` of the key. The key itself is not stored. */
  readonly sha256: string
  readonly createdAt: number
  /** Milliseconds since the epoch; from then on it is rejected. Absent: it does not expire. */
  readonly expiresAt?: number
  /** What this key alone may use within a minute. Absent: it counts only toward its tenant. */
  readonly rate?: RateLimit
}
