// One connection to a SQLite file: how it is opened, who may read it, when a commit is durable, and how to wait for a lock without blocking
// the event loop. Knows nothing of sessions and windows.

import { chmodSync, closeSync, fchmodSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Libsql from 'libsql'
import { CwmError } from '../../base/errors.ts'
import { Checkpointer, FALLBACK_PAGES } from './checkpointer.ts'
import { numberAt, type Row } from './sqlite-rows.ts'
import { applicationId, migrations, schemaVersion } from './sqlite-schema.ts'
import { WalFlush } from './wal-flush.ts'

/** The shape of pino's logger. No line contains content, session, window or tenant. */
export interface StoreLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface DatabaseOptions {
  /** A file, created with its folder if necessary, or `:memory:`. */
  readonly path: string
  readonly log?: StoreLog
  /** How long a call waits for another process's lock before it fails. Default 5,000; 0 fails at once. */
  readonly lockTimeoutMs?: number
}

/** What libsql can bind. A boolean would abort the whole process (libsql 0.5.29: "not yet implemented: bool"). */
export type Bindable = string | number | null | Uint8Array

/** A prepared statement; rows are arrays. */
export interface Query {
  get(...values: readonly Bindable[]): Row | undefined
  all(...values: readonly Bindable[]): readonly Row[]
  /** Returns the number of changed rows. */
  run(...values: readonly Bindable[]): number
}

/**
 * `power`: flushed to disk before the call resolves. `crash`: survives the process, but a power cut may lose the newest commits. Neither
 * can damage the file. Every commit runs with `synchronous = NORMAL`, which does not flush. The flush for `power` runs in parallel with the
 * event loop (wal-flush.ts), because it may take 1 to 10 ms, during which streams would stand still.
 */
export type Survives = 'power' | 'crash'

/** Keeps this process's knowledge of the file consistent. */
export interface FileListener {
  /** Called before the file is used, and again once a transaction holds the writers' lock, because others may have written until then. */
  verify(): void
  /** The transaction was committed. */
  committed(): void
  /** The transaction was rolled back. */
  undone(): void
  /** The file is about to be closed. */
  closing(): void
}

const lockPauseMs = 20

export class SqliteDatabase {
  readonly #db: Libsql.Database
  readonly #log: StoreLog | undefined
  readonly #lockTimeoutMs: number
  /** Bounded by the callers' concurrency: each gives up after `lockTimeoutMs` at the latest. */
  readonly #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined
  #isClosed = false
  /** Undefined for `:memory:`. */
  readonly #walFlush: WalFlush | undefined
  /** Undefined for `:memory:`. */
  readonly #checkpointer: Checkpointer | undefined
  /** A commit was made that must be flushed before its call resolves. */
  #needsFlush = false
  #before: () => Promise<void> | undefined = () => undefined
  #listener: FileListener | undefined

  private constructor(db: Libsql.Database, path: string, options: DatabaseOptions) {
    this.#db = db
    this.#log = options.log
    this.#lockTimeoutMs = options.lockTimeoutMs ?? 5000
    if (path === ':memory:') return
    this.#walFlush = new WalFlush(path)
    this.#checkpointer = new Checkpointer({
      path,
      onFailure: (error) =>
        this.#log?.warn({ err: codeOf(error) }, 'checkpoints now run within commits, because their thread has failed'),
    })
  }

  /** Throws `CONFIG` for a file that this build must not touch, `STORE_UNAVAILABLE` if it cannot be opened. */
  static async open(options: DatabaseOptions): Promise<SqliteDatabase> {
    const inMemory = options.path === ':memory:'
    // Absolute, because libsql treats `http:` and `libsql:` as servers, and SQLite `file:` as a URI.
    const path = inMemory ? options.path : resolve(options.path)
    let db: Libsql.Database
    try {
      if (!inMemory) makePrivate(path)
      db = new Libsql(path)
    } catch (thrown) {
      throw new CwmError('STORE_UNAVAILABLE', `the store ${path} cannot be opened`, { cause: thrown })
    }
    const database = new SqliteDatabase(db, path, options)
    try {
      await database.run(() => database.#prepareFile(path))
      return database
    } catch (thrown) {
      db.close()
      await database.#checkpointer?.close()
      await database.#walFlush?.close()
      throw damage(thrown) ? damaged(path, thrown) : thrown
    }
  }

  prepare(sql: string): Query {
    // Always one array: libsql treats a lone null or Buffer as named parameters.
    const statement = this.#db.prepare<[readonly Bindable[]]>(sql)
    if (statement.reader) statement.raw(true)
    return {
      get: (...values) => statement.get(values) as Row | undefined,
      all: (...values) => statement.all(values) as Row[],
      run: (...values) => statement.run(values).changes,
    }
  }

  /** Prepared statements by name. */
  prepareAll<Name extends string>(sql: Readonly<Record<Name, string>>): Readonly<Record<Name, Query>> {
    const entries = Object.entries<string>(sql).map(([name, text]) => [name, this.prepare(text)] as const)
    return Object.fromEntries(entries) as Record<Name, Query>
  }

  /**
   * Runs `work` at once, and again while another process holds the lock. Every failure becomes `STORE_UNAVAILABLE`. `work` may run several
   * times; nothing is kept between the runs.
   */
  run<T>(work: () => T): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closed())
    const waiting = this.#before()
    return waiting === undefined ? this.runBeside(work) : waiting.then(() => this.runBeside(work))
  }

  /** Registers a function to call before each run and before closing; the run waits for its promise, if it returns one. */
  beforeRuns(work: () => Promise<void> | undefined): void {
    this.#before = work
  }

  setListener(listener: FileListener): void {
    this.#listener = listener
  }

  /** Like {@link run}, without the registered functions, so it may read slightly older data. */
  runBeside<T>(work: () => T): Promise<T> {
    if (this.#isClosed) return Promise.reject(closed())
    try {
      this.#listener?.verify()
      const result = work()
      return this.#needsFlush ? this.#track(this.#flushed(result)) : Promise.resolve(result)
    } catch (thrown) {
      if (thrown instanceof CwmError) return Promise.reject(thrown)
      if (!locked(thrown)) return Promise.reject(unavailable(thrown))
    }
    return this.#track(this.#again(work))
  }

  /** `close` waits for it. */
  #track<T>(task: Promise<T>): Promise<T> {
    this.#running.add(task)
    const done = () => this.#running.delete(task)
    task.then(done, done)
    return task
  }

  /** Resolves with the result of a commit once it is durable. */
  async #flushed<T>(result: T): Promise<T> {
    this.#needsFlush = false
    try {
      await this.#walFlush?.flush()
    } catch (thrown) {
      throw unavailable(thrown)
    }
    return result
  }

  /**
   * Runs `work` as the only writer of the file, and rolls back if it throws. Only inside {@link run}, which resolves once a commit that
   * must survive a power cut is flushed.
   */
  transaction<T>(survives: Survives, work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      this.#listener?.verify()
      const result = work()
      this.#db.exec('COMMIT')
      this.#listener?.committed()
      if (survives === 'power') this.#needsFlush = true
      this.#checkpointer?.committed()
      return result
    } catch (thrown) {
      // SQLite has already rolled back on some errors (disk full, I/O).
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      this.#listener?.undone()
      throw thrown
    }
  }

  /** Waits for running calls, then writes the log into the file. Later calls wait for the same. */
  close(): Promise<void> {
    this.#closing ??= this.#close(this.#before())
    return this.#closing
  }

  async #close(before: Promise<void> | undefined): Promise<void> {
    await before
    this.#isClosed = true
    await Promise.allSettled(this.#running)
    await this.#checkpointer?.close()
    this.#listener?.closing()
    try {
      // libsql leaves that to the garbage collection of the last statement, and prepared statements keep working until then.
      this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch (thrown) {
      // Another process reads the log. It is complete, and the next process to open it reads it.
      this.#log?.info({ err: codeOf(thrown) }, 'store closed without emptying its log')
    }
    this.#db.close()
    await this.#walFlush?.close()
  }

  /** Another process holds the lock. */
  async #again<T>(work: () => T): Promise<T> {
    const startedAt = performance.now()
    for (let attempt = 2; ; attempt++) {
      await sleep(lockPauseMs)
      try {
        this.#listener?.verify()
        const result = work()
        this.#log?.warn({ attempt, ms: performance.now() - startedAt }, 'store was locked by another process')
        return this.#needsFlush ? await this.#flushed(result) : result
      } catch (thrown) {
        if (thrown instanceof CwmError) throw thrown
        if (!locked(thrown) || performance.now() - startedAt >= this.#lockTimeoutMs) throw unavailable(thrown)
      }
    }
  }

  #prepareFile(path: string): void {
    // Waits here for a lock of a few milliseconds. #again waits for longer ones.
    this.#db.exec('PRAGMA busy_timeout = 20')
    const found = this.#version(path) // before anything is written, so a newer cwm's file stays unchanged
    if (path !== ':memory:') {
      const mode = this.#pragma('journal_mode = WAL')
      if (mode !== 'wal') {
        throw new CwmError(
          'CONFIG',
          `the store ${path} cannot use a write-ahead log (journal mode is ${String(mode)}): use a local disk`,
        )
      }
    }
    this.#db.exec('PRAGMA synchronous = NORMAL')
    this.#db.exec(`PRAGMA wal_autocheckpoint = ${FALLBACK_PAGES}`)
    this.#db.exec('PRAGMA foreign_keys = ON')
    // Overwrites deleted messages in the file, not only in its index.
    this.#db.exec('PRAGMA secure_delete = ON')
    // A large freeze must not leave a large log permanently.
    this.#db.exec('PRAGMA journal_size_limit = 67108864')
    if (found === schemaVersion) return
    this.transaction('power', () => {
      const from = this.#version(path) // another process may have been first
      for (const step of migrations.slice(from)) this.#db.exec(step)
      this.#db.exec(`PRAGMA application_id = ${applicationId}`)
      this.#db.exec(`PRAGMA user_version = ${schemaVersion}`)
    })
    this.#log?.info({ from: found, to: schemaVersion }, 'store schema brought up to date')
  }

  #version(path: string): number {
    // One statement, for a consistent view: another process may be creating the tables.
    const row = this.prepare(
      `SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)
      FROM pragma_user_version, pragma_application_id`,
    ).get()
    if (row === undefined) throw new Error('the file has no schema version')
    const version = numberAt(row, 0)
    const ours = version === 0 ? numberAt(row, 2) === 0 : numberAt(row, 1) === applicationId
    if (!ours) {
      throw new CwmError('CONFIG', `${path} is another program's database: use a separate file for cwm`)
    }
    if (version > schemaVersion) {
      throw new CwmError(
        'CONFIG',
        `the store ${path} has schema version ${version}, but this cwm supports versions up to ${schemaVersion}: ` +
          'run the newer cwm, or use another file',
      )
    }
    return version
  }

  #pragma(text: string): unknown {
    return this.prepare(`PRAGMA ${text}`).get()?.[0]
  }
}

/**
 * Creates the file readable by its owner only, or removes others' permissions. SQLite gives `-wal` and `-shm` the same mode as the file.
 */
function makePrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const file = openSync(path, 'a', 0o600)
  try {
    fchmodSync(file, 0o600)
  } finally {
    closeSync(file)
  }
  for (const suffix of ['-wal', '-shm']) {
    try {
      chmodSync(path + suffix, 0o600)
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOENT') throw thrown
    }
  }
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
}

function locked(thrown: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(thrown))
}

function damage(thrown: unknown): boolean {
  return thrown instanceof CwmError && /^SQLITE_(NOTADB|CORRUPT)/.test(codeOf(thrown.cause))
}

function damaged(path: string, thrown: unknown): CwmError {
  return new CwmError(
    'CONFIG',
    `the store ${path} is damaged or not a SQLite database: restore it from a backup together with its -wal file, ` +
      'or move it away, and cwm creates an empty one',
    { cause: thrown instanceof CwmError ? thrown.cause : thrown },
  )
}

function closed(): CwmError {
  return new CwmError('STORE_UNAVAILABLE', 'the store is closed')
}

function unavailable(thrown: unknown): CwmError {
  const code = codeOf(thrown)
  const why = locked(thrown) ? 'another process holds its lock' : code === '' ? 'it failed' : code
  return new CwmError('STORE_UNAVAILABLE', `the store cannot be read or written: ${why}`, { cause: thrown })
}
