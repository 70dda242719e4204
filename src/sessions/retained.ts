// Retains the last turn of each session, so that REST can freeze a session whose client did not send `x-cwm-freeze`. Turns are kept in
// memory, on disk, or not at all.

import { toCwmError } from '../base/errors.ts'
import { FairBudget } from '../base/fair-budget.ts'
import { sessionKey } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Store } from '../store/store.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import { RetainedMemory } from './retained-memory.ts'
import { type HeldTurn, type RetainedTurn, turnBytes } from './retained-turn.ts'

export type { RetainedTurn }

/** `memory`: lost with the process. `disk`: in the store. `off`: only the header `x-cwm-freeze` can freeze. */
export type Retain = 'memory' | 'disk' | 'off'

export interface RetainedOptions {
  readonly retain: Retain
  /** Maximum bytes of all retained turns, and of those that wait for the store. The tenant with the most loses its oldest first. */
  readonly maxBytes: number
  readonly store: Pick<Store, 'putRetained' | 'getRetained'>
  /** Extracts a turn's messages and shaping fields, without its salt. */
  readonly promptOf: (turn: RetainedTurn) => RetainedPrompt
  readonly log: Logger
  /** Milliseconds. */
  readonly now: () => number
}

export class RetainedTurns {
  readonly #options: RetainedOptions
  readonly #memory: RetainedMemory
  /** The last pending write to the store, by session. Bounded by `maxBytes`, because each turn counts at least half a kilobyte. */
  readonly #writing = new Map<string, Promise<void>>()
  /** The last pending read from the store, by session. Never rejects. */
  readonly #reading = new Map<string, Promise<unknown>>()
  /** Bytes of the turns that wait for the store. */
  readonly #waiting: FairBudget

  constructor(options: RetainedOptions) {
    this.#options = options
    this.#memory = new RetainedMemory(options)
    this.#waiting = new FairBudget(options.maxBytes)
  }

  /**
   * Retains a turn as its session's last. On disk it waits for `after`, because the store accepts no turn of a session that it does not
   * have. Never throws.
   */
  keep(
    tenant: string,
    sessionId: string,
    turn: RetainedTurn,
    after: readonly (Promise<unknown> | undefined)[] = [],
    sharer = tenant,
  ): void {
    const { retain, store, promptOf, maxBytes, log } = this.#options
    const key = sessionKey(tenant, sessionId)
    if (retain === 'memory') this.#memory.set(sharer, key, turn)
    if (retain !== 'disk') return
    const bytes = turnBytes(turn)
    if (!this.#waiting.change(sharer, 0, bytes)) {
      log.error({ session: sessionId }, 'last turn not retained: too many turns are waiting for the store')
      return
    }
    // Writes run one after the other; otherwise an earlier turn could overwrite a later one. A pending read still gets the previous turn.
    const written = Promise.all([...after, this.#writing.get(key), this.#reading.get(key)])
      .then(() => store.putRetained(tenant, sessionId, promptOf(turn), maxBytes))
      .catch((thrown: unknown) => {
        log.error({ session: sessionId, err: toCwmError(thrown) }, 'last turn not retained')
      })
      .then(() => {
        this.#waiting.change(sharer, bytes, 0)
        if (this.#writing.get(key) === written) this.#writing.delete(key)
      })
    this.#writing.set(key, written)
  }

  /** The session's last turn from memory, to be read later; undefined if it is not in memory. */
  peek(tenant: string, sessionId: string): HeldTurn | undefined {
    return this.#memory.get(sessionKey(tenant, sessionId))
  }

  /** The session's last turn; undefined if it is not retained or was not a whole prompt. Throws what the store throws. */
  async find(tenant: string, sessionId: string): Promise<RetainedPrompt | undefined> {
    const { retain, promptOf } = this.#options
    const key = sessionKey(tenant, sessionId)
    const held = this.#memory.get(key)
    const kept = retain === 'disk' ? await this.#read(tenant, sessionId, key) : held && promptOf(await held.read())
    return kept === undefined || kept.prompt.messages.length === 0 ? undefined : kept
  }

  #read(tenant: string, sessionId: string, key: string): Promise<RetainedPrompt | undefined> {
    const read = Promise.resolve(this.#writing.get(key)).then(() => this.#options.store.getRetained(tenant, sessionId))
    const over = Promise.allSettled([this.#reading.get(key), read]).then(() => {
      if (this.#reading.get(key) === over) this.#reading.delete(key)
    })
    this.#reading.set(key, over)
    return read
  }

  /** Resolves once no write to the store is pending. */
  async settle(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing.values())
  }

  /** Drops a session's turn from this process's memory. The store drops its copy with the session. */
  drop(tenant: string, sessionId: string): void {
    this.#memory.delete(sessionKey(tenant, sessionId))
  }
}
