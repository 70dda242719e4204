// Turns that wait to be written. Many go into one transaction, and only the newest record of each session. Reads through the store write
// them first. If the process is killed, each turn lost this way costs one cold turn.

import { sessionKey } from '../base/ids.ts'
import type { SessionRecord } from '../base/records.ts'
import type { SaveOutcome, TurnTrace } from './store-values.ts'

/** Above this many sessions they are written at once. */
const MAX_WAITING = 1_000

/** A session's turns since it was last written. */
export interface PendingTurn {
  session: SessionRecord
  /** The session is not stored yet. */
  readonly isNew: boolean
  readonly traces: TurnTrace[]
  readonly settle: { resolve(outcome: SaveOutcome): void; reject(error: unknown): void }[]
}

/** Owns the timer that writes them; `close` ends it. */
export class PendingTurns {
  readonly #write: () => void
  readonly #afterMs: number
  #waiting = new Map<string, PendingTurn>()
  #timer: NodeJS.Timeout | undefined

  /** `write` is called at most `afterMs` milliseconds after the first waiting turn, and takes all of them. */
  constructor(write: () => void, afterMs: number) {
    this.#write = write
    this.#afterMs = afterMs
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Resolves when the turn is written. Rejects with what the write threw. */
  add(session: SessionRecord, trace: TurnTrace, isNew: boolean): Promise<SaveOutcome> {
    const key = sessionKey(session.tenant, session.id)
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(key)
      if (waiting === undefined) {
        this.#waiting.set(key, { session, isNew, traces: [trace], settle: [{ resolve, reject }] })
      } else {
        waiting.session = session
        waiting.traces.push(trace)
        waiting.settle.push({ resolve, reject })
      }
      if (this.#waiting.size >= MAX_WAITING) this.#write()
      else this.#timer ??= setTimeout(this.#write, this.#afterMs)
    })
  }

  /** Takes everything that waits; the caller must write and settle it. */
  take(): readonly PendingTurn[] {
    const taken = [...this.#waiting.values()]
    this.#waiting = new Map()
    clearTimeout(this.#timer)
    this.#timer = undefined
    return taken
  }
}
