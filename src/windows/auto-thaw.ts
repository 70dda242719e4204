// Prefetches a returning session's newest window into the KV layer's memory before its turn is dispatched.
// A prefetch that runs beside the turn makes it cold: docs/engine-behavior.md#prefetch-beside-a-turn.

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
  /** Idle time after which a session counts as returning, milliseconds; 0 disables prefetching. */
  readonly afterMs: number
  /** How long a turn waits for its prefetch, milliseconds. Then the prefetch is aborted. */
  readonly waitMs: number
}

/** Concurrent prefetches; further sessions proceed without one. */
const MAX_PREFETCHES = 16
/** Sessions whose latest return is remembered. */
const MAX_RETURNS = 10_000

interface Return {
  readonly lastTurnAt: number
  readonly done: Promise<void>
}

/** `id`: of a base window, whose name may be another window's by now. */
interface NextWindow {
  readonly name: string
  readonly id: string | undefined
}

/** Prefetches windows for returning sessions. */
export class AutoThaw {
  readonly #parts: AutoThawParts
  #prefetches = 0
  /** By session. Concurrent requests belong to one return and share one prefetch. */
  readonly #returns = new LRUCache<string, Return>({ max: MAX_RETURNS })

  constructor(parts: AutoThawParts) {
    this.#parts = parts
  }

  /**
   * Prefetches the session's newest window if it was idle long enough. Returns undefined if there is nothing to wait for; otherwise the
   * promise resolves when the turn may be dispatched, and never rejects. A caller may stop waiting, but must not cancel: others may share it.
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

  async #prefetch(record: SessionRecord, next: NextWindow, apiKey: string | undefined): Promise<void> {
    const { tenant, id } = record
    const { name: window } = next
    const { windows, metrics, log, waitMs } = this.#parts
    this.#prefetches++
    metrics.autoThaws.inc()
    try {
      const options = { apiKey, actor: 'cwm', signal: AbortSignal.timeout(waitMs) }
      const { foundChunks, totalChunks, ms } = await windows.prefetch(tenant, window, options, {
        windowId: next.id,
        sessionId: id,
      })
      log.info({ session: id, window, foundChunks, totalChunks, ms }, 'window of a returning session prefetched')
    } catch (thrown) {
      // Prefetching is best effort: the turn proceeds without it.
      log.warn({ session: id, window, err: toCwmError(thrown) }, 'window of a returning session not prefetched')
    } finally {
      this.#prefetches--
    }
  }
}

/** Undefined while prompts are cut, unless a window was frozen since: prompts no longer begin with what preceded the cut. */
function windowOfNextTurn({ auto, rollover, thaw, baseWindow, baseWindowId }: SessionRecord): NextWindow | undefined {
  if (auto !== undefined && auto.at > (rollover?.at ?? thaw?.at ?? 0)) return { name: auto.window, id: undefined }
  return rollover === undefined && baseWindow !== undefined ? { name: baseWindow, id: baseWindowId } : undefined
}
