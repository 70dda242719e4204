// Re-encrypts data in SQLite after encryption was enabled or its key rotated.

import { openValue, type Place, type Sealer } from '../seal.ts'
import type { Store } from '../store.ts'
import type { SqliteCore } from './sqlite-core.ts'
import {
  libraryPartPlace,
  libraryPlace,
  numberAt,
  promptPlace,
  type Row,
  retainedPlace,
  sequencePlace,
  storedValueAt,
  textAt,
  tokenIdsPlace,
  windowTextsPlace,
} from './sqlite-rows.ts'

/** One sealed column. `find`: rows with another key, as [rowid, key_id, value, …names]. */
interface SealedColumn {
  readonly find: string
  readonly put: string
  place(row: Row): Place
}

const names = (row: Row) => [textAt(row, 3), textAt(row, 4), textAt(row, 5)] as const

const columns: readonly SealedColumn[] = [
  {
    find: `SELECT seq, key_id, words, tenant, name, id FROM windows WHERE words IS NOT NULL AND key_id <> ? LIMIT ?`,
    put: 'UPDATE windows SET key_id = ?, words = ? WHERE seq = ?',
    place: (row) => windowTextsPlace({ tenant: textAt(row, 3), name: textAt(row, 4), id: textAt(row, 5) }),
  },
  {
    find: `SELECT window, p.key_id, prompt, tenant, name, id FROM window_prompts AS p JOIN windows ON seq = window
      WHERE p.key_id <> ? LIMIT ?`,
    put: 'UPDATE window_prompts SET key_id = ?, prompt = ? WHERE window = ?',
    place: (row) => promptPlace(...names(row)),
  },
  {
    find: `SELECT window, t.key_id, token_ids, tenant, name, id FROM window_tokens AS t JOIN windows ON seq = window
      WHERE t.key_id <> ? LIMIT ?`,
    put: 'UPDATE window_tokens SET key_id = ?, token_ids = ? WHERE window = ?',
    place: (row) => tokenIdsPlace(...names(row)),
  },
  {
    find: `SELECT rowid, key_id, words, tenant, record ->> '$.name', id FROM held_windows
      WHERE words IS NOT NULL AND key_id <> ? LIMIT ?`,
    put: 'UPDATE held_windows SET key_id = ?, words = ? WHERE rowid = ?',
    place: (row) => windowTextsPlace({ tenant: textAt(row, 3), name: textAt(row, 4), id: textAt(row, 5) }),
  },
  {
    find: `SELECT rowid, prompt_key_id, prompt, tenant, record ->> '$.name', id FROM held_windows
      WHERE prompt_key_id <> ? LIMIT ?`,
    put: 'UPDATE held_windows SET prompt_key_id = ?, prompt = ? WHERE rowid = ?',
    place: (row) => promptPlace(...names(row)),
  },
  {
    find: `SELECT rowid, tokens_key_id, token_ids, tenant, record ->> '$.name', id FROM held_windows
      WHERE tokens_key_id <> ? LIMIT ?`,
    put: 'UPDATE held_windows SET tokens_key_id = ?, token_ids = ? WHERE rowid = ?',
    place: (row) => tokenIdsPlace(...names(row)),
  },
  {
    find: `SELECT rowid, key_id, token_ids, tenant, deletion, place FROM deletion_sequences WHERE key_id <> ? LIMIT ?`,
    put: 'UPDATE deletion_sequences SET key_id = ?, token_ids = ? WHERE rowid = ?',
    place: (row) => sequencePlace(textAt(row, 3), textAt(row, 4), numberAt(row, 5)),
  },
  {
    find: 'SELECT seq, key_id, turn, tenant, session_id FROM retained WHERE key_id <> ? LIMIT ?',
    put: 'UPDATE retained SET key_id = ?, turn = ? WHERE seq = ?',
    place: (row) => retainedPlace(textAt(row, 3), textAt(row, 4)),
  },
  {
    find: 'SELECT rowid, key_id, record, tenant, name FROM libraries WHERE key_id <> ? LIMIT ?',
    put: 'UPDATE libraries SET key_id = ?, record = ? WHERE rowid = ?',
    place: (row) => libraryPlace(textAt(row, 3), textAt(row, 4)),
  },
  {
    find: 'SELECT rowid, key_id, prompt, tenant, library, window FROM library_parts WHERE key_id <> ? LIMIT ?',
    put: 'UPDATE library_parts SET key_id = ?, prompt = ? WHERE rowid = ?',
    place: (row) => libraryPartPlace(...names(row)),
  },
]

/** `reseal` of the store. `allSealed` is called in the transaction that finds nothing left to re-encrypt. */
export function resealIn({ db, sealer }: SqliteCore, allSealed: (sealer: Sealer) => void): Pick<Store, 'reseal'> {
  const statements = columns.map(({ find, put, place }) => ({ find: db.prepare(find), put: db.prepare(put), place }))
  return {
    async reseal(atMost) {
      if (sealer === undefined) return 0
      return db.run(() =>
        db.transaction('power', () => {
          let sealed = 0
          for (const { find, put, place } of statements) {
            for (const row of find.all(sealer.keyId, atMost - sealed)) {
              const plain = openValue(sealer, storedValueAt(row, 1), place(row))
              put.run(sealer.keyId, sealer.seal(plain, place(row)), numberAt(row, 0))
              sealed++
            }
          }
          if (sealed === 0) allSealed(sealer)
          return sealed
        }),
      )
    },
  }
}
