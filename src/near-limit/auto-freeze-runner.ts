// Runs the freezes that cwm starts on its own: names them, counts their outcomes, and waits for them at shutdown.

import { type CwmError, toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { AutoFreezes, WindowRecord } from '../base/records.ts'
import type { NearLimit } from '../base/tenants.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import { autoName, autoNumberOf, autoTag, isAutomatic } from '../windows/auto-names.ts'
import type { NameReservation } from '../windows/name-reservations.ts'
import type { Windows } from '../windows/windows.ts'
import type { AutoBudget } from './auto-budget.ts'

export interface AutoFreezeRunnerParts {
  readonly windows: Pick<Windows, 'reserveAuto' | 'freeze' | 'list'>
  readonly budget: Pick<AutoBudget, 'makeRoom' | 'trim'>
  readonly sessions: Pick<SessionTracker, 'save'>
  readonly metrics: Pick<Metrics, 'autoFreezes' | 'rollovers'>
  readonly log: Logger
}

export interface AutoWindowName {
  /** The session's n-th automatic window. */
  readonly count: number
  readonly reservation: NameReservation
}

/** Names tried, each after the newest one that is taken. */
const NAME_TRIES = 8

/** Names, runs and counts automatic freezes. */
export class AutoFreezeRunner {
  readonly #parts: AutoFreezeRunnerParts
  readonly #background = new Set<Promise<unknown>>()

  constructor(parts: AutoFreezeRunnerParts) {
    this.#parts = parts
  }

  /** Reserves the session's next free name. At the window limit its oldest automatic window is deleted. Throws what `Windows.reserve` throws. */
  async reserve(session: LiveSession): Promise<AutoWindowName> {
    try {
      return await this.#reserveNext(session)
    } catch (thrown) {
      if (toCwmError(thrown).code !== 'QUOTA_EXCEEDED') throw thrown
      if (!(await this.#parts.budget.makeRoom(session.record))) throw thrown
      return await this.#reserveNext(session)
    }
  }

  async #reserveNext({ record }: LiveSession): Promise<AutoWindowName> {
    const { windows } = this.#parts
    const { tenant, id } = record
    let count = (record.auto?.count ?? 0) + 1
    for (let left = NAME_TRIES; ; left--) {
      try {
        return { count, reservation: await windows.reserveAuto(tenant, autoName(tenant, id, count)) }
      } catch (thrown) {
        if (left === 0 || toCwmError(thrown).code !== 'WINDOW_NAME_TAKEN') throw thrown
      }
      // Taken by another proxy, or by an earlier session of the same name.
      const { items } = await windows.list(tenant, { tags: [autoTag], sessionId: id, limit: NAME_TRIES })
      count = Math.max(count, ...items.filter(isAutomatic).map(({ name }) => autoNumberOf(name))) + 1
    }
  }

  /** Stores the session's freeze state, so that it survives a restart. A session without an answer is stored with its first one, or never. */
  async save(session: LiveSession): Promise<void> {
    if (!session.stored) return
    try {
      await this.#parts.sessions.save(session, [])
    } catch (thrown) {
      this.#parts.log.warn(
        { session: session.record.id, err: toCwmError(thrown) },
        'automatic freeze not recorded in its session',
      )
    }
  }

  /** Counts a freeze's outcome and trims the budget after it. `work` resolves to undefined if nothing was frozen. Never throws. */
  run(session: LiveSession, nearLimit: NearLimit, work: () => Promise<WindowRecord | undefined>): void {
    const { budget, metrics, log } = this.#parts
    const freeze = async () => {
      try {
        const done = await work()
        if (done === undefined) return
        metrics.autoFreezes.inc({ outcome: done.receipt?.durability ?? 'failed' })
      } catch (thrown) {
        const error = toCwmError(thrown)
        metrics.autoFreezes.inc({ outcome: outcomeOf(error) })
        log.warn({ session: session.record.id, err: error }, 'automatic freeze failed')
        return
      }
      await budget.trim(session.record, nearLimit)
    }
    const over = freeze().catch((thrown: unknown) => {
      log.warn(
        { session: session.record.id, err: toCwmError(thrown) },
        'automatic windows could not be trimmed to their limit',
      )
    })
    this.#background.add(over)
    void over.finally(() => this.#background.delete(over))
  }

  /** Resolves when all of them are done. */
  async settle(): Promise<void> {
    await Promise.all(this.#background)
  }
}

/** `skipped`: too many background freezes were waiting. One before a cut is recorded, and verified later. */
function outcomeOf({ code }: CwmError): 'refused' | 'skipped' | 'failed' {
  if (code === 'QUOTA_EXCEEDED') return 'refused'
  return code === 'OVERLOADED' ? 'skipped' : 'failed'
}

/** Makes the next automatic freeze due as soon as the context has filled again. */
export function rearmed(auto: AutoFreezes): AutoFreezes {
  const { nextAtTokens: _, ...rest } = auto
  return rest
}
