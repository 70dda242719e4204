// The last turn of each session, by value, so that REST can freeze what no header asked for in time.
// In memory only, bounded by bytes; the newest sessions win.

import { LRUCache } from 'lru-cache'
import type { JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'

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

export class RetainedTurns {
  readonly #turns: LRUCache<string, RetainedTurn>

  /** `maxBytes` over all sessions; a turn larger than that is not kept. */
  constructor(maxBytes: number) {
    this.#turns = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: maxBytes,
      sizeCalculation: (turn) => turn.body.length + replyBytes(turn.reply) + 512,
    })
  }

  get(tenant: string, sessionId: string): RetainedTurn | undefined {
    return this.#turns.get(JSON.stringify([tenant, sessionId]))
  }

  set(tenant: string, sessionId: string, turn: RetainedTurn): void {
    this.#turns.set(JSON.stringify([tenant, sessionId]), turn)
  }
}

/** The reply was read from bytes that no longer exist; twice its JSON is an upper guess of what it holds. */
function replyBytes(reply: readonly JsonValue[]): number {
  try {
    return 2 * JSON.stringify(reply).length
  } catch {
    // Nested deeper than the stack is high: no request could hold it, so it is not kept.
    return Number.MAX_SAFE_INTEGER / 2
  }
}
