// SQLite's full-text search in memory, on its own thread: neither tokenizing nor ranking stops the event loop. Nothing is written to
// disk. Each space has its own database, so that the word frequencies of one cannot influence the ranks of another.

import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { CwmError } from '../../base/errors.ts'
import { TEXT_INDEX_THREAD } from './text-index-thread.ts'

export { MAX_TEXTS } from './text-index-thread.ts'

export interface IndexedPiece {
  readonly text: string
  /** What is indexed instead of the text, if that is something else. */
  readonly words?: string
}

/** A text to be found by its pieces, and returned as a whole. */
export interface IndexedText {
  /** Returned with it. */
  readonly place: number
  /** At least one, at most 16. */
  readonly pieces: readonly IndexedPiece[]
}

export interface FoundText {
  readonly group: number
  /** BM25 of its best piece; higher is better. */
  readonly score: number
  readonly place: number
  readonly text: string
}

interface Orders {
  add(args: { space: string; group: number; from: number; texts: readonly IndexedText[] }): number
  drop(args: { space: string; group: number; atMost: number }): boolean
  rank(args: { space: string; groups: readonly number[]; match: string; atMost: number }): readonly FoundText[]
  best(args: { space: string; group: number; match: string }): readonly FoundText[]
  end(args: { space: string }): void
}

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: CwmError) => void
}

type Answer = { readonly id: number; readonly value: never } | { readonly id: number; readonly failed: string }

export interface TextIndexOptions {
  /** Called when the thread has failed, with everything in it. The next call starts an empty one. */
  readonly onLost: (cause: unknown) => void
  /** The module to use instead of libsql. */
  readonly libsql?: string
}

/** Owns its thread, which the first call starts. Calls are executed in order. They reject with `BUSY` if the thread fails. */
export class TextIndex {
  readonly #options: TextIndexOptions
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #calls = 0
  #closed = false

  constructor(options: TextIndexOptions) {
    this.#options = options
  }

  /**
   * Adds texts to a group of a space, as its texts `from`, `from + 1`, … Returns how many bytes the space has grown. Callers add the texts of a
   * large group a few at a time and wait for each call, so that others have their turns in between.
   */
  add(space: string, group: number, from: number, texts: readonly IndexedText[]): Promise<number> {
    return this.#call('add', { space, group, from, texts })
  }

  /** Drops up to `atMost` pieces of a group. Returns whether there may be more. */
  drop(space: string, group: number, atMost: number): Promise<boolean> {
    return this.#call('drop', { space, group, atMost })
  }

  /** The best text of each group that matches the FTS5 expression, best first; of equal ones, in the order of `groups`. */
  rank(space: string, groups: readonly number[], match: string, atMost: number): Promise<readonly FoundText[]> {
    return this.#call('rank', { space, groups, match, atMost })
  }

  /** The best text of one group. */
  async best(space: string, group: number, match: string): Promise<FoundText | undefined> {
    return (await this.#call('best', { space, group, match }))[0]
  }

  /** Drops a space with everything in it. */
  end(space: string): Promise<void> {
    return this.#call('end', { space })
  }

  /** Resolves when the thread has ended, after what was called before. Later calls reject with `SHUTTING_DOWN`. */
  async close(): Promise<void> {
    this.#closed = true
    this.#worker?.ref()
    // Not `terminate`: libsql aborts the process if its thread is terminated during a call.
    this.#worker?.postMessage({ order: 'close' })
    await this.#exited
  }

  #call<K extends keyof Orders>(order: K, args: Parameters<Orders[K]>[0]): Promise<ReturnType<Orders[K]>> {
    if (this.#closed) return Promise.reject(new CwmError('SHUTTING_DOWN', 'cwm is stopping'))
    const worker = this.#start()
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      // Otherwise the process could exit first.
      worker.ref()
      worker.postMessage({ id, order, args })
    })
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const libsql = this.#options.libsql ?? createRequire(import.meta.url).resolve('libsql')
    const worker = new Worker(TEXT_INDEX_THREAD, { eval: true, workerData: { libsql } })
    let cause: unknown
    worker.on('message', (answer: Answer) => this.#settle(answer))
    worker.on('error', (error) => {
      cause = error
    })
    this.#exited = new Promise<void>((resolve) => {
      worker.on('exit', (code) => {
        resolve()
        if (!this.#closed || code !== 0) this.#lost(cause ?? new Error(`the thread exited with code ${code}`))
      })
    })
    this.#worker = worker
    return worker
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) this.#worker?.unref()
    if ('failed' in answer) waiting?.reject(failed(`SQLite reports ${answer.failed}`))
    else waiting?.resolve(answer.value)
  }

  #lost(cause: unknown): void {
    this.#worker = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    // First, so that the owner knows before any caller is rejected.
    this.#options.onLost(cause)
    for (const { reject } of waiting) reject(failed('its thread ended, and starts again empty'))
  }
}

function failed(why: string): CwmError {
  return new CwmError('BUSY', `the text index failed: ${why}; retry the request`)
}
