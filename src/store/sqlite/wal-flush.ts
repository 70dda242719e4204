// Flushes SQLite's write-ahead log in parallel with the event loop. `synchronous = FULL` would flush it within each commit, which blocks
// everything.

import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * When `flush` resolves, everything that was in the log when it was called is on disk. Calls made during a flush share the next one. A
 * commit is in the log, or a checkpoint has moved it to the database file, which SQLite flushes itself before it reuses the log
 * (sqlite.org/wal.html, "Checkpointing").
 */
export class WalFlush {
  readonly #path: string
  #file: Promise<FileHandle> | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** `path`: the database's. */
  constructor(path: string) {
    this.#path = path
  }

  /** Rejects with the system's error. */
  flush(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  /** Only call while no flush is running. */
  async close(): Promise<void> {
    const file = await this.#file
    await file?.close()
  }

  #start(): Promise<void> {
    this.#next = undefined
    const running = this.#flush().finally(() => {
      this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #flush(): Promise<void> {
    this.#file ??= this.#open()
    const file = await this.#file.catch((error: unknown) => {
      this.#file = undefined
      throw error
    })
    await file.datasync()
  }

  /** The log is one file while the database is open, so its directory entry needs a single flush. */
  async #open(): Promise<FileHandle> {
    const file = await open(`${this.#path}-wal`, 'r+')
    const directory = await open(dirname(this.#path), 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
    return file
  }
}
