// Libraries in SQLite: a sealed record of each, and the sealed prompts of the windows that are not frozen yet.

import { isOpenLibrary, type LibraryRecord } from '../../base/library-records.ts'
import type { Prompt } from '../../base/records.ts'
import type { LibraryMethods, PendingPart } from '../library-methods.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import { openValue, sealValue } from '../seal.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { libraryPartPlace, libraryPlace, numberAt, type Row, storedValueAt, textAt } from './sqlite-rows.ts'

/** The library methods of the store. */
export function librariesIn({ db, sealer }: SqliteCore): LibraryMethods {
  const sql = db.prepareAll({
    get: 'SELECT name, key_id, record FROM libraries WHERE tenant = ? AND name = ?',
    list: 'SELECT name, key_id, record FROM libraries WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?',
    count: 'SELECT count(*) FROM libraries WHERE tenant = ?',
    revision: 'SELECT revision FROM libraries WHERE tenant = ? AND name = ?',
    put: `INSERT INTO libraries (tenant, name, revision, is_open, key_id, record) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (tenant, name) DO UPDATE SET revision = excluded.revision, is_open = excluded.is_open,
        key_id = excluded.key_id, record = excluded.record`,
    drop: 'DELETE FROM libraries WHERE tenant = ? AND name = ?',
    open: 'SELECT tenant, name FROM libraries WHERE is_open = 1 ORDER BY tenant, name LIMIT ?',
    parts: 'SELECT window, is_done FROM library_parts WHERE tenant = ? AND library = ?',
    part: 'SELECT key_id, prompt FROM library_parts WHERE tenant = ? AND library = ? AND window = ?',
    addPart: `INSERT INTO library_parts (tenant, library, window, is_done, key_id, prompt) VALUES (?, ?, ?, 0, ?, ?)`,
    mark: 'UPDATE library_parts SET is_done = ? WHERE tenant = ? AND library = ? AND window = ?',
    dropParts: 'DELETE FROM library_parts WHERE tenant = ? AND library = ?',
  })

  function recordIn(tenant: string, row: Row): LibraryRecord {
    return jsonInBytes(openValue(sealer, storedValueAt(row, 1), libraryPlace(tenant, textAt(row, 0))))
  }

  function revisionOf(tenant: string, name: string): number {
    const row = sql.revision.get(tenant, name)
    return row === undefined ? 0 : numberAt(row, 0)
  }

  function replaceParts({ tenant, name }: LibraryRecord, parts: readonly PendingPart[]): void {
    sql.dropParts.run(tenant, name)
    for (const { window, prompt } of parts) {
      const plain = Buffer.from(JSON.stringify(prompt))
      const { keyId, bytes } = sealValue(sealer, plain, libraryPartPlace(tenant, name, window))
      sql.addPart.run(tenant, name, window, keyId, bytes)
    }
  }

  return {
    getLibrary: (tenant, name) =>
      db.run(() => {
        const row = sql.get.get(tenant, name)
        return row === undefined ? undefined : recordIn(tenant, row)
      }),

    async listLibraries(tenant, page) {
      checkLimit(page.limit)
      const [, after] = positionIn('libraries', page, 'string', 'string') ?? ['', '']
      return db.run(() => {
        const records = sql.list.all(tenant, after, page.limit + 1).map((row) => recordIn(tenant, row))
        return toPage(
          'libraries',
          records,
          page.limit,
          (record) => record,
          ({ name }) => ['', name],
        )
      })
    },

    countLibraries: (tenant) =>
      db.run(() => {
        const row = sql.count.get(tenant)
        return row === undefined ? 0 : numberAt(row, 0)
      }),

    putLibrary: (record, parts) =>
      db.run(() =>
        db.transaction('power', () => {
          const { tenant, name, revision } = record
          if (revisionOf(tenant, name) !== revision - 1) return false
          const plain = Buffer.from(JSON.stringify(record))
          const { keyId, bytes } = sealValue(sealer, plain, libraryPlace(tenant, name))
          sql.put.run(tenant, name, revision, Number(isOpenLibrary(record)), keyId, bytes)
          if (parts !== undefined) replaceParts(record, parts)
          return true
        }),
      ),

    removeLibrary: (tenant, name, revision) =>
      db.run(() =>
        db.transaction('power', () => {
          if (revisionOf(tenant, name) !== revision) return false
          sql.drop.run(tenant, name)
          sql.dropParts.run(tenant, name)
          return true
        }),
      ),

    listOpenLibraries: (atMost) =>
      db.run(() => sql.open.all(atMost).map((row) => ({ tenant: textAt(row, 0), name: textAt(row, 1) }))),

    listLibraryParts: (tenant, name) =>
      db.run(() => new Map(sql.parts.all(tenant, name).map((row) => [textAt(row, 0), numberAt(row, 1) === 1]))),

    getLibraryPart: (tenant, name, window) =>
      db.run(() => {
        const row = sql.part.get(tenant, name, window)
        if (row === undefined) return undefined
        return jsonInBytes<Prompt>(openValue(sealer, storedValueAt(row, 0), libraryPartPlace(tenant, name, window)))
      }),

    markLibraryPart: (tenant, name, window, done) =>
      db.run(() => db.transaction('crash', () => void sql.mark.run(Number(done), tenant, name, window))),
  }
}
