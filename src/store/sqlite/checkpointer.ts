// Copies SQLite's write-ahead log into the database file on a separate thread. SQLite would do this within a commit, where the copying and
// its two flushes would block all streams of the process.

import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'

/**
 * A smaller log stays, so quiet deployments never start the thread. When SQLite restarts a log, it must flush it within that commit
 * (sqlite.org/src/info/ff5be73dee); a larger log makes that rarer.
 */
const LEAST_BYTES = 16 * 1024 * 1024
const INTERVAL_MS = 1_000
/** If the thread fails, SQLite checkpoints within a commit at this many pages (64 MiB), which bounds the log. */
export const FALLBACK_PAGES = 16_384

/** Source text, because a thread cannot load the TypeScript that tests run. `PASSIVE` never waits for the writer, nor blocks it. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const Libsql = require(workerData.libsql)
const db = new Libsql(workerData.path)
const checkpoint = db.prepare('PRAGMA wal_checkpoint(PASSIVE)')
parentPort.on('message', (order) => {
  if (order === 'end') return parentPort.close()
  checkpoint.all()
  parentPort.postMessage('done')
})
`

export interface CheckpointerOptions {
  /** The database's. */
  readonly path: string
  /** Called once with the error that ended the thread. From then on, commits checkpoint. */
  readonly onFailure: (error: unknown) => void
  /** Default 1,000. */
  readonly intervalMs?: number
}

/** Owns its timer and its thread; `close` ends both. */
export class Checkpointer {
  readonly #options: CheckpointerOptions
  #timer: NodeJS.Timeout | undefined
  #worker: Worker | undefined
  #exited: Promise<unknown> | undefined
  #busy = false
  #ended = false

  constructor(options: CheckpointerOptions) {
    this.#options = options
  }

  /** Call after each commit. The log's size is checked once per interval while there are commits. */
  committed(): void {
    if (this.#timer !== undefined || this.#busy || this.#ended) return
    this.#timer = setTimeout(() => void this.#check(), this.#options.intervalMs ?? INTERVAL_MS)
    this.#timer.unref()
  }

  /**
   * Resolves when the thread has ended. The thread is left to end on its own, because libsql aborts the process if its thread is terminated
   * during a call.
   */
  async close(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    this.#worker?.ref() // otherwise the process could exit first
    this.#worker?.postMessage('end')
    await this.#exited
  }

  async #check(): Promise<void> {
    this.#busy = true
    this.#timer = undefined
    const bytes = await stat(`${this.#options.path}-wal`).then(
      ({ size }) => size,
      () => 0,
    )
    if (bytes < LEAST_BYTES || this.#ended) this.#busy = false
    else this.#start().postMessage('checkpoint')
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const libsql = createRequire(import.meta.url).resolve('libsql')
    const worker = new Worker(PROGRAM, { eval: true, workerData: { libsql, path: this.#options.path } })
    worker.unref()
    worker.on('message', () => {
      this.#busy = false
    })
    worker.on('error', (error) => {
      this.#ended = true
      this.#options.onFailure(error)
    })
    // Not `once`, which would reject on an error.
    this.#exited = new Promise((resolve) => worker.on('exit', resolve))
    this.#worker = worker
    return worker
  }
}
