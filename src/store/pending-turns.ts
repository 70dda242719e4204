// Turns that wait to be written: many go into one transaction, and of one session the newest record alone. Whoever reads the file
// through the store has them written first; a kill of the process costs the last of them one cold turn each.

import { sessionKey } from '../base/ids.ts'
import type { SessionRecord } from '../base/records.ts'
import type { SaveOutcome, TurnTrace } from './store.ts'

/** More sessions than this are not kept waiting. */
const MAX_WAITING = 1_000

/** A session's turns since it was last written. */
export interface PendingTurn {
  session: SessionRecord
  /** It was never stored. */
  readonly isNew: boolean
  readonly traces: TurnTrace[]
  readonly settle: { resolve(outcome: SaveOutcome): void; reject(error: unknown): void }[]
}

/** Owns the timer that has them written; `close` ends it. */
export class PendingTurns {
  readonly #write: () => void
  readonly #afterMs: number
  #waiting = new Map<string, PendingTurn>()
  #timer: NodeJS.Timeout | undefined

  /** `write` is called `afterMs` milliseconds after the first that waits, at the latest, and takes them all. */
  constructor(write: () => void, afterMs: number) {
    this.#write = write
    this.#afterMs = afterMs
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Resolves when the turn is written; rejects with what the write threw. */
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

  /** What waits, which then waits no more: it is the caller's to write and to settle. */
  take(): readonly PendingTurn[] {
    const taken = [...this.#waiting.values()]
    this.#waiting = new Map()
    clearTimeout(this.#timer)
    this.#timer = undefined
    return taken
  }
}
