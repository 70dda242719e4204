// Shared by the parts of the SQLite store: the file, the keys, and how values are stored in rows.

import type { DeletionRecord } from '../../base/deletion-records.ts'
import type { Sealer } from '../seal.ts'
import { sealValue } from '../seal.ts'
import { tokenIdsToBytes } from '../stored-values.ts'
import type { FileMemory } from './file-memory.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { sequencePlace } from './sqlite-rows.ts'

/** The dependencies of each part. */
export interface SqliteCore {
  readonly db: SqliteDatabase
  readonly memory: FileMemory
  readonly sealer: Sealer | undefined
  /** Milliseconds since the epoch; the time at which a lineage is retired. */
  readonly now: () => number
  /** How long a turn may wait to be written together with others, milliseconds. */
  readonly writeAfterMs: number
}

/** Greater than every time and count: the first page of a descending list starts here. */
export const end = Number.MAX_SAFE_INTEGER

/** Writes the order for a delete. Only inside the transaction that removes the record itself. */
export type OrderWriter = (order: DeletionRecord, sequences: readonly Uint32Array[]) => void

/** Prepares an {@link OrderWriter}. */
export function orderWriter({ db, sealer }: SqliteCore): OrderWriter {
  const sql = db.prepareAll({
    add: 'INSERT INTO deletions (tenant, id, state, at, next_try_at, record) VALUES (?, ?, ?, ?, ?, ?)',
    addSequence: `INSERT INTO deletion_sequences (tenant, deletion, place, key_id, token_ids) VALUES (?, ?, ?, ?, ?)`,
  })
  return (order, sequences) => {
    const { tenant, id, state, at, nextTryAt } = order
    sql.add.run(tenant, id, state, at, nextTryAt, JSON.stringify(order))
    for (const [place, tokenIds] of sequences.entries()) {
      const stored = sealValue(sealer, tokenIdsToBytes(tokenIds), sequencePlace(tenant, id, place))
      sql.addSequence.run(tenant, id, place, stored.keyId, stored.bytes)
    }
  }
}

/** Whether a lineage is retired; usable inside transactions too. */
export function retiredQuery({ db, memory }: SqliteCore): (tenant: string, lineage: string) => boolean {
  const find = db.prepare('SELECT 1 FROM retired_lineages WHERE tenant = ? AND lineage = ?')
  return (tenant, lineage) => !memory.retired.certainlyLacks(lineage) && find.get(tenant, lineage) !== undefined
}
