// The last turn of each session, so that REST can freeze what no header asked for in time: in memory, on disk, or not at all.

import { LRUCache } from 'lru-cache'
import { toCwmError } from '../base/errors.ts'
import { sessionKey } from '../base/ids.ts'
import type { JsonValue } from '../base/json.ts'
import type { Logger } from '../base/logger.ts'
import type { Dialect } from '../base/records.ts'
import type { RetainedPrompt, Store } from '../store/store.ts'
import { valueBytes } from './weights.ts'

/** A finished turn as it went to the upstream. The body holds the salt: it is parsed for its prompt and never shown. */
export interface RetainedTurn {
  readonly dialect: Dialect
  readonly body: Buffer
  /** The reply that was delivered (the first choice), as messages of the dialect. */
  readonly reply: readonly JsonValue[]
  readonly promptTokens: number | undefined
  readonly clientSalt: string | undefined
  /** Under which its KV lies, and the window that stood before it: the session may have moved on. */
  readonly lineage: string
  readonly parent: string | undefined
}

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
}

export class RetainedTurns {
  readonly #options: RetainedOptions
  readonly #turns: LRUCache<string, RetainedTurn>
  /** By session, the last write to the store under way: of turns of `maxBytes` in all, half a kilobyte each at least. */
  readonly #writing = new Map<string, Promise<void>>()
  #writingBytes = 0

  constructor(options: RetainedOptions) {
    const { maxBytes } = options
    this.#options = options
    this.#turns = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: maxBytes,
      sizeCalculation: bytesOf,
    })
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
    if (retain === 'memory') this.#turns.set(key, withOwnBytes(turn))
    if (retain !== 'disk') return
    const bytes = bytesOf(turn)
    if (this.#writingBytes + bytes > maxBytes) {
      log.error({ session: sessionId }, 'last turn not retained: too many wait for the store')
      return
    }
    this.#writingBytes += bytes
    // One after the other, or an earlier turn could be written over a later one.
    const written = Promise.all([...after, this.#writing.get(key)])
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
  peek(tenant: string, sessionId: string): RetainedTurn | undefined {
    return this.#turns.get(sessionKey(tenant, sessionId))
  }

  /** The session's last turn; undefined when it is not at hand, or was no whole prompt. Throws what the store throws. */
  async find(tenant: string, sessionId: string): Promise<RetainedPrompt | undefined> {
    const { retain, store, promptOf } = this.#options
    const key = sessionKey(tenant, sessionId)
    const turn = this.#turns.get(key)
    await this.#writing.get(key)
    const kept = retain === 'disk' ? await store.getRetained(tenant, sessionId) : turn && promptOf(turn)
    return kept === undefined || kept.prompt.messages.length === 0 ? undefined : kept
  }

  /** Resolves when all turns that were kept on disk are there. */
  async settle(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing.values())
  }

  /** Forgets what this process holds of a session; the store forgets with the session itself. */
  drop(tenant: string, sessionId: string): void {
    this.#turns.delete(sessionKey(tenant, sessionId))
  }
}

/** A small body lies in a slab of Node's with what others left there, and would keep all of it. */
function withOwnBytes(turn: RetainedTurn): RetainedTurn {
  const { body } = turn
  if (body.buffer.byteLength <= 2 * body.length) return turn
  const own = Buffer.allocUnsafeSlow(body.length)
  body.copy(own)
  return { ...turn, body: own }
}

function bytesOf({ body, reply }: RetainedTurn): number {
  return body.length + replyBytes(reply) + 512
}

/** The reply was read from bytes that no longer exist; twice what it seems to weigh is an upper guess of what it holds. */
function replyBytes(reply: readonly JsonValue[]): number {
  try {
    return 2 * valueBytes(reply)
  } catch {
    // Nested deeper than the stack is high: no request could hold it, so it is not kept.
    return Number.MAX_SAFE_INTEGER / 2
  }
}
