// Flushes SQLite's write-ahead log beside the event loop. `synchronous = FULL` would flush it within each commit, where everything waits.

import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * What is in the log when `flush` is called is on the disk when it resolves. Calls made during a flush share the next one. A commit is in
 * the log, or a checkpoint has moved it to the database file, which SQLite flushes itself before it uses the log again
 * (sqlite.org/wal.html, "Checkpointing").
 */
export class WalFlush {
  readonly #path: string
  #file: Promise<FileHandle> | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** `path`: of the database. */
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

  /** Call when nothing is being flushed. */
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

  /** The log is one file for as long as the database is open, so its directory entry needs one flush. */
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
