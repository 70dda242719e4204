// The log is copied into the database in parallel with commits, and stays small.

import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Checkpointer } from './checkpointer.ts'
import { SqliteDatabase } from './sqlite-database.ts'

const MB = 1024 * 1024

let folder: string
let path: string
let db: Libsql.Database

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-checkpoint-'))
  path = join(folder, 'cwm.db')
  db = new Libsql(path)
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA wal_autocheckpoint = 0')
  db.exec('CREATE TABLE filler (text TEXT)')
})

afterEach(() => {
  db.close()
  rmSync(folder, { recursive: true, force: true })
})

function fill(bytes: number): void {
  db.prepare('INSERT INTO filler VALUES (?)').run(['x'.repeat(bytes)])
}

it('copies a large log into the database, so that later commits restart it', async () => {
  const onFailure = vi.fn()
  const checkpointer = new Checkpointer({ path, onFailure, intervalMs: 1 })
  try {
    fill(20 * MB)

    await vi.waitFor(
      () => {
        checkpointer.committed()
        const before = statSync(`${path}-wal`).size
        fill(1)
        if (statSync(`${path}-wal`).size > before) throw new Error('the log still grows')
      },
      { timeout: 20_000 },
    )

    expect(statSync(path).size).toBeGreaterThan(20 * MB)
    expect(onFailure).not.toHaveBeenCalled()
  } finally {
    await checkpointer.close()
  }
})

it('reports a thread that fails', async () => {
  const unopenable = join(folder, 'directory.db')
  mkdirSync(unopenable)
  writeFileSync(`${unopenable}-wal`, Buffer.alloc(20 * MB))

  const failure = await new Promise<unknown>((resolve) => {
    new Checkpointer({ path: unopenable, onFailure: resolve, intervalMs: 1 }).committed()
  })

  expect(failure).toMatchObject({ message: expect.stringContaining('Unable to open') })
})

it('can be closed during a checkpoint: the thread ends after it', async () => {
  fill(64 * MB)
  const checkpointer = new Checkpointer({ path, onFailure: vi.fn(), intervalMs: 1 })
  checkpointer.committed()
  await vi.waitFor(() => expect(statSync(path).size).toBeGreaterThan(MB), { interval: 1, timeout: 20_000 })

  await checkpointer.close()

  expect(statSync(path).size).toBeGreaterThan(64 * MB)
})

it('is notified of each commit of a database, and is closed with it', async () => {
  const committed = vi.spyOn(Checkpointer.prototype, 'committed')
  const close = vi.spyOn(Checkpointer.prototype, 'close')
  try {
    const database = await SqliteDatabase.open({ path: join(folder, 'other.db') })
    committed.mockClear()
    await database.run(() => database.transaction('crash', () => {}))
    await database.run(() => database.transaction('power', () => {}))
    expect(committed).toHaveBeenCalledTimes(2)

    await database.close()
    expect(close).toHaveBeenCalledTimes(1)
  } finally {
    committed.mockRestore()
    close.mockRestore()
  }
})
