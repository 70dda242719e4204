// Limits the number of automatic windows per session and per tenant. The oldest are deleted first, but never one that a session needs.

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

/** Keeps the automatic windows of a session and of a tenant within their limits. */
export class AutoBudget {
  readonly #parts: AutoBudgetParts

  constructor(parts: AutoBudgetParts) {
    this.#parts = parts
  }

  /** Deletes windows beyond the limits after a freeze of that session. Throws what the store throws. */
  async trim(session: SessionRecord, bounds: Pick<NearLimit, 'maxAutoPerSession' | 'maxAutoWindows'>): Promise<void> {
    const { tenant, id, auto } = session
    const trimTo = async (windows: readonly WindowRecord[], bound: number) => {
      // The newest window is deleted last.
      const older = windows.filter(({ name }) => name !== auto?.window)
      await this.#deleteOldest(older, windows.length - bound, session)
    }
    await trimTo(await this.#list(tenant, id), bounds.maxAutoPerSession)
    await trimTo(await this.#list(tenant), bounds.maxAutoWindows)
  }

  /** Deletes the session's oldest automatic window to make room for another. Returns false if none can be deleted. */
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

  /** Deletes up to `count` of these, in order. Returns how many it deleted. */
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
        // Already deleted, or leased by another process: the next trim handles it.
        if (error.code !== 'WINDOW_NOT_FOUND') log.warn({ window: window.name, err: error }, 'automatic window kept')
      }
    }
    return dropped
  }

  /** Whether a session depends on the window: as the full copy behind its current cut, or as its base window. */
  async #isNeeded(window: WindowRecord, session: SessionRecord): Promise<boolean> {
    const { store } = this.#parts
    const { tenant, name, lineage, sessionId } = window
    if (window.state === 'freezing') return true
    const owner = sessionId === session.id ? session : await store.getSession(tenant, sessionId ?? '')
    if (owner !== undefined && (owner.rollover?.window === name || owner.baseWindow === name)) return true
    // A session with this base window has thawed it and shares its lineage. The count does not say which window each session has.
    if (window.thaws === undefined) return false
    const others = owner?.lineage === lineage ? 1 : 0
    return (await store.holdersOf(tenant, lineage)).sessions > others
  }
}
