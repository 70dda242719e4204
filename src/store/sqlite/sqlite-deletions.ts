// Deletes in SQLite: the orders and their results. Orders are written in the transaction that removes the record itself (sqlite-core.ts).

import type { DeletionRecord } from '../../base/deletion-records.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import { openValue } from '../seal.ts'
import type { DeletionMethods } from '../store.ts'
import { tokenIdsIn } from '../stored-values.ts'
import { end, orderWriter, type SqliteCore } from './sqlite-core.ts'
import { numberAt, recordAt, sequencePlace, storedValueAt, textAt } from './sqlite-rows.ts'

/** The deletion methods of the store. */
export function deletionsIn(core: SqliteCore): DeletionMethods {
  const { db, sealer } = core
  const writeOrder = orderWriter(core)
  const sql = db.prepareAll({
    get: 'SELECT record FROM deletions WHERE tenant = ? AND id = ?',
    sequences: `SELECT place, key_id, token_ids FROM deletion_sequences WHERE tenant = ? AND deletion = ? ORDER BY place`,
    list: `SELECT record FROM deletions WHERE tenant = ? AND (at, id) < (?, ?) ORDER BY at DESC, id DESC LIMIT ?`,
    nextWithOpen: `SELECT tenant FROM deletions INDEXED BY deletions_open
      WHERE state = 'open' AND tenant > ? ORDER BY tenant LIMIT 1`,
    listOpen: `SELECT record FROM deletions INDEXED BY deletions_open WHERE state = 'open' AND tenant = ? AND next_try_at <= ?
      ORDER BY next_try_at, id LIMIT ?`,
    change: 'UPDATE deletions SET state = ?, next_try_at = ?, record = ? WHERE tenant = ? AND id = ?',
    dropSequences: 'DELETE FROM deletion_sequences WHERE tenant = ? AND deletion = ?',
    dropDone: `DELETE FROM deletions WHERE rowid IN (
      SELECT rowid FROM deletions WHERE state = 'done' AND at < ? ORDER BY at LIMIT ?)`,
  })

  function read(tenant: string, id: string): DeletionRecord | undefined {
    const row = sql.get.get(tenant, id)
    return row === undefined ? undefined : recordAt<DeletionRecord>(row, 0)
  }

  return {
    addDeletion: (order, sequences) => db.run(() => db.transaction('power', () => writeOrder(order, sequences))),

    getDeletion: (tenant, id) => db.run(() => read(tenant, id)),

    getDeletionSequences: (tenant, id) =>
      db.run(() =>
        sql.sequences
          .all(tenant, id)
          .map((row) =>
            tokenIdsIn(openValue(sealer, storedValueAt(row, 1), sequencePlace(tenant, id, numberAt(row, 0)))),
          ),
      ),

    async listDeletions(tenant, page) {
      checkLimit(page.limit)
      const [at, id] = positionIn('deletions', page, 'number', 'string') ?? [end, '']
      return db.run(() => {
        const rows = sql.list.all(tenant, at, id, page.limit + 1).map((row) => recordAt<DeletionRecord>(row, 0))
        return toPage(
          'deletions',
          rows,
          page.limit,
          (deletion) => deletion,
          (deletion) => [deletion.at, deletion.id],
        )
      })
    },

    listOpenDeletions: (now, { after, perTenant, enough }) =>
      db.run(() => {
        const found: DeletionRecord[] = []
        let next = sql.nextWithOpen.get(after)
        while (next !== undefined && found.length < enough) {
          const tenant = textAt(next, 0)
          for (const row of sql.listOpen.all(tenant, now, perTenant)) found.push(recordAt<DeletionRecord>(row, 0))
          next = sql.nextWithOpen.get(tenant)
        }
        return found
      }),

    changeDeletion: (tenant, id, change) =>
      db.run(() =>
        db.transaction('power', () => {
          const held = read(tenant, id)
          if (held === undefined) return false
          const next: DeletionRecord = { ...held, ...change }
          sql.change.run(next.state, next.nextTryAt, JSON.stringify(next), tenant, id)
          if (next.state === 'done') sql.dropSequences.run(tenant, id)
          return true
        }),
      ),

    dropDeletions: (before, atMost) => db.run(() => db.transaction('crash', () => sql.dropDone.run(before, atMost))),
  }
}
