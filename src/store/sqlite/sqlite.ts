// The store in one SQLite file, for one machine: every method is one statement or one transaction. Composes the parts; sqlite-database.ts
// handles the file itself (opening, locks, durability), sqlite-schema.ts the tables.

import { type Sealer, sealCheck, sealCheckKey, verifySealCheck } from '../seal.ts'
import type { Store } from '../store.ts'
import { fileMemoryOf } from './file-memory.ts'
import { apiKeysIn } from './sqlite-api-keys.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { type DatabaseOptions, type Query, SqliteDatabase } from './sqlite-database.ts'
import { deletionsIn } from './sqlite-deletions.ts'
import { enginesIn } from './sqlite-engines.ts'
import { eventsIn } from './sqlite-events.ts'
import { heldWindowsIn } from './sqlite-held.ts'
import { ledgerIn } from './sqlite-ledger.ts'
import { librariesIn } from './sqlite-libraries.ts'
import { lineagesIn } from './sqlite-lineages.ts'
import { loginsIn } from './sqlite-logins.ts'
import { ratesIn } from './sqlite-rates.ts'
import { resealIn } from './sqlite-reseal.ts'
import { retainedIn } from './sqlite-retained.ts'
import { textAt } from './sqlite-rows.ts'
import { sessionsIn } from './sqlite-sessions.ts'
import { tenantsIn } from './sqlite-tenants.ts'
import { tracesIn } from './sqlite-traces.ts'
import { windowListIn } from './sqlite-window-list.ts'
import { windowsIn } from './sqlite-windows.ts'

export type { StoreLog } from './sqlite-database.ts'

export interface SqliteOptions extends DatabaseOptions {
  /** Encrypts messages and ids. Absent: they are stored in clear text. */
  readonly sealer?: Sealer
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number
  /** How long a turn may wait to be written together with others, milliseconds; a kill of the process can lose that much. Default 50. */
  readonly writeAfterMs?: number
  /**
   * This process holds the lock of the file's directory, so no other process writes (data-dir-lock.ts). Default false: the file is checked
   * each time.
   */
  readonly soleWriter?: boolean
  /** Bound of placements (EngineMethods). */
  readonly maxPlacements?: number
}

/**
 * Opens or creates the file, and updates its schema. Throws `CONFIG` if the file is damaged, another program's or a newer cwm's, or if the
 * encryption key does not match; otherwise `STORE_UNAVAILABLE`.
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const { sealer, now = Date.now, writeAfterMs = 50, soleWriter = false } = options
  const db = await SqliteDatabase.open(options)
  try {
    return await db.run(() => storeIn({ db, memory: fileMemoryOf(db, soleWriter), sealer, now, writeAfterMs }, options))
  } catch (thrown) {
    await db.close()
    throw thrown
  }
}

function storeIn(core: SqliteCore, options: SqliteOptions): Store {
  const { db, sealer } = core
  const meta = db.prepareAll({
    get: 'SELECT value FROM meta WHERE key = ?',
    add: 'INSERT INTO meta (key, value) VALUES (?, ?)',
    put: 'INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)',
  })
  const putCheck = (by: Sealer) => meta.put.run(sealCheckKey, sealCheck(by))
  proveKeys(db, sealer, meta.get, putCheck)
  return {
    kind: 'sqlite',
    maxStalenessMs: Number.POSITIVE_INFINITY, // one cwm per folder: data-dir-lock.ts
    onChange: () => () => {},
    ping: () => db.runBeside(() => void meta.get.get(sealCheckKey)),
    claimMeta: (key, value) =>
      db.run(() => {
        const seen = meta.get.get(key)
        if (seen !== undefined) return textAt(seen, 0)
        return db.transaction('power', () => {
          const stored = meta.get.get(key)
          if (stored !== undefined) return textAt(stored, 0)
          meta.add.run(key, value)
          return value
        })
      }),
    ...sessionsIn(core),
    ...tracesIn(core),
    ...lineagesIn(core),
    ...windowsIn(core),
    ...windowListIn(core),
    ...heldWindowsIn(core),
    ...deletionsIn(core),
    ...tenantsIn(core),
    ...eventsIn(core),
    ...loginsIn(core),
    ...enginesIn(core, options.maxPlacements),
    ...apiKeysIn(core),
    ...ledgerIn(core),
    ...ratesIn(core.now),
    ...librariesIn(core),
    ...retainedIn(core),
    ...resealIn(core, putCheck),
    acquireLease: () => db.run(() => true), // no other process could hold it
    releaseLease: () => db.run(() => {}),
    enterUse: () => db.run(() => {}),
    leaveUse: () => db.run(() => {}),
    isUsedElsewhere: () => db.run(() => false),
    close: () => db.close(),
  }
}

/** Once a store was opened with a key, every start needs a matching one: otherwise the sealed data would be lost silently. */
function proveKeys(
  db: SqliteDatabase,
  sealer: Sealer | undefined,
  getMeta: Query,
  putCheck: (sealer: Sealer) => void,
): void {
  const check = () => {
    const row = getMeta.get(sealCheckKey)
    return row === undefined ? undefined : textAt(row, 0)
  }
  verifySealCheck(sealer, check())
  if (sealer === undefined || check() !== undefined) return
  db.transaction('power', () => {
    const stored = check() // another process may have been first
    if (stored === undefined) putCheck(sealer)
    else verifySealCheck(sealer, stored)
  })
}
