// The last turn of each session, so that REST can freeze what no header asked for in time: in memory, on disk, or not at all.

import { toCwmError } from '../base/errors.ts'
import { sessionKey } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { RetainedPrompt, Store } from '../store/store.ts'
import { RetainedMemory } from './retained-memory.ts'
import { type HeldTurn, type RetainedTurn, turnBytes } from './retained-turn.ts'

export type { RetainedTurn }

/** `memory`: lost with the process. `disk`: in the store. `off`: only the header `x-cwm-freeze` can freeze. */
export type Retain = 'memory' | 'disk' | 'off'

export interface RetainedOptions {
  readonly retain: Retain
  /** Of all turns together, those longest unwritten going first; and of those that wait for the store. */
  readonly maxBytes: number
  readonly store: Pick<Store, 'putRetained' | 'getRetained'>
  /** Messages and shaping fields of a turn, without its salt. */
  readonly promptOf: (turn: RetainedTurn) => RetainedPrompt
  readonly log: Logger
  /** Milliseconds. */
  readonly now: () => number
}

export class RetainedTurns {
  readonly #options: RetainedOptions
  readonly #memory: RetainedMemory
  /** By session, the last write to the store under way: of turns of `maxBytes` in all, half a kilobyte each at least. */
  readonly #writing = new Map<string, Promise<void>>()
  /** By session, the last read of the store under way; never rejects. */
  readonly #reading = new Map<string, Promise<unknown>>()
  #writingBytes = 0

  constructor(options: RetainedOptions) {
    this.#options = options
    this.#memory = new RetainedMemory(options)
  }

  /** Keeps a turn as its session's last; on disk once `after` has settled, for the store keeps none of a session that it does not have. Never throws. */
  keep(
    tenant: string,
    sessionId: string,
    turn: RetainedTurn,
    after: readonly (Promise<unknown> | undefined)[] = [],
  ): void {
    const { retain, store, promptOf, maxBytes, log } = this.#options
    const key = sessionKey(tenant, sessionId)
    if (retain === 'memory') this.#memory.set(key, turn)
    if (retain !== 'disk') return
    const bytes = turnBytes(turn)
    if (this.#writingBytes + bytes > maxBytes) {
      log.error({ session: sessionId }, 'last turn not retained: too many wait for the store')
      return
    }
    this.#writingBytes += bytes
    // One after the other, or an earlier turn could be written over a later one. Whoever asked for the turn before still gets that.
    const written = Promise.all([...after, this.#writing.get(key), this.#reading.get(key)])
      .then(() => store.putRetained(tenant, sessionId, promptOf(turn), maxBytes))
      .catch((thrown: unknown) => {
        log.error({ session: sessionId, err: toCwmError(thrown) }, 'last turn not retained')
      })
      .then(() => {
        this.#writingBytes -= bytes
        if (this.#writing.get(key) === written) this.#writing.delete(key)
      })
    this.#writing.set(key, written)
  }

  /** The session's last turn as memory has it, to be read later; undefined where it is not kept there. */
  peek(tenant: string, sessionId: string): HeldTurn | undefined {
    return this.#memory.get(sessionKey(tenant, sessionId))
  }

  /** The session's last turn; undefined when it is not at hand, or was no whole prompt. Throws what the store throws. */
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

  /** Resolves when all turns that were kept on disk are there. */
  async settle(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing.values())
  }

  /** Forgets what this process holds of a session; the store forgets with the session itself. */
  drop(tenant: string, sessionId: string): void {
    this.#memory.delete(sessionKey(tenant, sessionId))
  }
}
