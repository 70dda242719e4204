// One cwm per data directory: a second one would treat the first one's freezes as abandoned, and trust its own memory. The lock is
// SQLite's, on a separate file; the operating system releases it when the process ends, however that happens.

import { closeSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import Libsql from 'libsql'
import { CwmError } from '../../base/errors.ts'

export interface DataDirLock {
  /** Releases the directory. Idempotent. */
  release(): Promise<void>
}

/** Locks the directory, which must exist, for this process. Throws `CONFIG` while another cwm, or this one, holds the lock. */
export async function lockDataDir(dir: string): Promise<DataDirLock> {
  const path = join(resolve(dir), 'cwm.lock')
  let db: Libsql.Database | undefined
  try {
    closeSync(openSync(path, 'a', 0o600))
    db = new Libsql(path)
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec('BEGIN EXCLUSIVE')
  } catch (thrown) {
    db?.close()
    throw refusal(dir, thrown)
  }
  const held = db
  return {
    release: async () => {
      if (!held.open) return
      held.exec('ROLLBACK')
      held.close()
    },
  }
}

function refusal(dir: string, cause: unknown): CwmError {
  const busy = cause instanceof Error && 'code' in cause && cause.code === 'SQLITE_BUSY'
  const message = busy
    ? `another cwm runs on the data directory ${dir}: end it, or give this one a data_dir of its own (several proxies share a Redis store)`
    : `the data directory ${dir} cannot be locked`
  return new CwmError('CONFIG', message, { param: 'data_dir', cause })
}
