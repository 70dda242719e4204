// Sessions that come back after a while: their newest window is brought into LMCache's memory before their turn goes to the engine.
// Not beside it, which makes turns cold: docs/engine-behavior.md#prefetch-beside-a-turn.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import { sessionKey } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { SessionRecord } from '../base/records.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { Windows } from './windows.ts'

export interface AutoThawParts {
  readonly windows: Pick<Windows, 'prefetch'>
  readonly metrics: Pick<Metrics, 'autoThaws'>
  readonly log: Logger
  readonly now: Now
  /** Idle time after which a session has come back, milliseconds; 0: never. */
  readonly afterMs: number
  /** How long a turn waits for the prefetch, milliseconds; then the prefetch is given up. */
  readonly waitMs: number
}

/** Prefetches under way at once; sessions beyond that go on without. */
const MAX_PREFETCHES = 16
/** Sessions of which it is known that this return was seen to. */
const MAX_RETURNS = 10_000

interface Return {
  readonly lastTurnAt: number
  readonly done: Promise<void>
}

/** Warms what sessions need that come back. */
export class AutoThaw {
  readonly #parts: AutoThawParts
  #prefetches = 0
  /** By session. Requests that come at the same time are one return, and wait for the same prefetch. */
  readonly #returns = new LRUCache<string, Return>({ max: MAX_RETURNS })

  constructor(parts: AutoThawParts) {
    this.#parts = parts
  }

  /**
   * Prefetches the session's newest window if it was idle for long. Undefined where there is nothing to wait for; otherwise resolves when its
   * turn may go out, and never rejects. Whoever waits no longer may leave: others may be waiting for the same.
   */
  onReturn({ record, stored }: LiveSession, { apiKey }: CallOptions): Promise<void> | undefined {
    const { now, afterMs } = this.#parts
    const { tenant, id, lastTurnAt } = record
    if (afterMs === 0 || !stored || now() - lastTurnAt < afterMs) return undefined
    const key = sessionKey(tenant, id)
    const seen = this.#returns.get(key)
    if (seen?.lastTurnAt === lastTurnAt) return seen.done
    const window = windowOfNextTurn(record)
    if (window === undefined || this.#prefetches >= MAX_PREFETCHES) return undefined
    const done = this.#prefetch(record, window, apiKey)
    this.#returns.set(key, { lastTurnAt, done })
    return done
  }

  async #prefetch({ tenant, id }: SessionRecord, window: string, apiKey: string | undefined): Promise<void> {
    const { windows, metrics, log, waitMs } = this.#parts
    this.#prefetches++
    metrics.autoThaws.inc()
    try {
      const options = { apiKey, actor: 'cwm', signal: AbortSignal.timeout(waitMs) }
      const { foundChunks, totalChunks, ms } = await windows.prefetch(tenant, window, options)
      log.info({ session: id, window, foundChunks, totalChunks, ms }, 'window of a returning session prefetched')
    } catch (thrown) {
      // It was a help and no promise: the turn goes on without.
      log.warn({ session: id, window, err: toCwmError(thrown) }, 'window of a returning session not prefetched')
    } finally {
      this.#prefetches--
    }
  }
}

/** None while prompts go out cut, unless frozen since: what stood before the cut is not what they begin with. */
function windowOfNextTurn({ auto, rollover, thaw, baseWindow }: SessionRecord): string | undefined {
  if (auto !== undefined && auto.at > (rollover?.at ?? thaw?.at ?? 0)) return auto.window
  return rollover === undefined ? baseWindow : undefined
}
