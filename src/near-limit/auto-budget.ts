// How many automatic windows are kept, of a session and of its tenant: beyond that the oldest are deleted, never one that a session needs.

import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { SessionRecord, WindowRecord } from '../base/records.ts'
import type { NearLimit } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'
import { autoTag, isAutomatic } from '../windows/auto-names.ts'
import type { Deletions } from '../windows/deletions.ts'

export interface AutoBudgetParts {
  readonly store: Pick<Store, 'listWindows' | 'getSession' | 'holdersOf'>
  readonly deletions: Pick<Deletions, 'deleteWindow'>
  readonly log: Logger
}

const PAGE = 1_000

/** Holds the automatic windows of a session and of a tenant to their bounds. */
export class AutoBudget {
  readonly #parts: AutoBudgetParts

  constructor(parts: AutoBudgetParts) {
    this.#parts = parts
  }

  /** Deletes what is beyond the bounds after a freeze of that session. Throws what the store throws. */
  async trim(session: SessionRecord, bounds: Pick<NearLimit, 'maxAutoPerSession' | 'maxAutoWindows'>): Promise<void> {
    const { tenant, id, auto } = session
    const trimTo = async (windows: readonly WindowRecord[], bound: number) => {
      // The one that was just frozen goes last of all.
      const older = windows.filter(({ name }) => name !== auto?.window)
      await this.#deleteOldest(older, windows.length - bound, session)
    }
    await trimTo(await this.#list(tenant, id), bounds.maxAutoPerSession)
    await trimTo(await this.#list(tenant), bounds.maxAutoWindows)
  }

  /** Deletes the session's oldest automatic window, to make room for another; false when there is none to spare. */
  async makeRoom(session: SessionRecord): Promise<boolean> {
    return (await this.#deleteOldest(await this.#list(session.tenant, session.id), 1, session)) === 1
  }

  /** Oldest first. */
  async #list(tenant: string, sessionId?: string): Promise<readonly WindowRecord[]> {
    const found: WindowRecord[] = []
    let cursor: string | undefined
    do {
      const page = await this.#parts.store.listWindows(tenant, {
        tags: [autoTag],
        sort: 'created',
        order: 'asc',
        limit: PAGE,
        ...(sessionId === undefined ? {} : { sessionId }),
        ...(cursor === undefined ? {} : { cursor }),
      })
      found.push(...page.items.filter(isAutomatic))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return found
  }

  /** Deletes up to `count` of these, the first ones first; answers how many. */
  async #deleteOldest(windows: readonly WindowRecord[], count: number, session: SessionRecord): Promise<number> {
    const { deletions, log } = this.#parts
    let dropped = 0
    for (const window of windows) {
      if (dropped >= count) break
      if (await this.#isNeeded(window, session)) continue
      try {
        await deletions.deleteWindow(window.tenant, window.name, 'budget', 'cwm')
        dropped++
        log.warn(
          { session: window.sessionId, window: window.name },
          'automatic window deleted: there are more than max_auto_windows_per_session or max_auto_windows',
        )
      } catch (thrown) {
        const error = toCwmError(thrown)
        if (error.code === 'STORE_UNAVAILABLE') throw error
        // Gone already, or at work elsewhere: the next trim sees to it.
        if (error.code !== 'WINDOW_NOT_FOUND') log.warn({ window: window.name, err: error }, 'automatic window kept')
      }
    }
    return dropped
  }

  /** Its session's way back from the present cut, or what a session stands behind: without it that session could not go on. */
  async #isNeeded(window: WindowRecord, session: SessionRecord): Promise<boolean> {
    const { store } = this.#parts
    const { tenant, name, lineage, sessionId } = window
    if (window.state === 'freezing') return true
    const owner = sessionId === session.id ? session : await store.getSession(tenant, sessionId ?? '')
    if (owner !== undefined && (owner.rollover?.window === name || owner.baseWindow === name)) return true
    // Whoever stands behind it has thawed it, and shares its lineage. Which window each of them has, their number does not tell.
    if (window.thaws === undefined) return false
    const others = owner?.lineage === lineage ? 1 : 0
    return (await store.holdersOf(tenant, lineage)).sessions > others
  }
}
