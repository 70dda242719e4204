// Moves SQLite's write-ahead log into the database file from a thread of its own. Within a commit, which is where SQLite would do it, the
// copying and its two flushes would hold every stream of the process.

import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'

/**
 * A smaller log stays, so quiet deployments never start the thread. When a log is written anew from its beginning, SQLite flushes it within
 * that commit and must (sqlite.org/src/info/ff5be73dee): the larger the log, the rarer that is.
 */
const LEAST_BYTES = 16 * 1024 * 1024
const INTERVAL_MS = 1_000
/** If the thread fails, SQLite checkpoints within a commit at so many pages (64 MiB), so that the log cannot grow without a bound. */
export const FALLBACK_PAGES = 16_384

/** Text, because a thread loads no TypeScript, as which the tests run this. `PASSIVE` never waits for the writer, nor makes it wait. */
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
  /** Of the database. */
  readonly path: string
  /** Called once with the error that ended the thread; commits checkpoint from then on. */
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

  /** Call after each commit. The log is looked at once an interval, while commits come. */
  committed(): void {
    if (this.#timer !== undefined || this.#busy || this.#ended) return
    this.#timer = setTimeout(() => void this.#check(), this.#options.intervalMs ?? INTERVAL_MS)
    this.#timer.unref()
  }

  /** Resolves when the thread has ended. It ends itself: libsql aborts the process if its thread is terminated within a call. */
  async close(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    this.#worker?.ref() // or the process could end before
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
