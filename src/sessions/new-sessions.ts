// Creates sessions: checks the tenant's quota, assigns a lineage, and provides temporary sessions while the store is unavailable.

import type { Now } from '../base/clock.ts'
import { CwmError } from '../base/errors.ts'
import { randomId, sessionKey } from '../base/ids.ts'
import type { SessionRecord } from '../base/records.ts'
import type { Isolation } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'
import type { Lineages } from './lineages.ts'
import { LiveSession } from './live-session.ts'
import { SessionCache } from './session-cache.ts'

/** The owner of a new session: the tenant with its rules, and the user that the client named. */
export interface SessionOwner {
  readonly tenant: string
  readonly isolation: Isolation
  readonly maxSessions?: number
  readonly user: string | undefined
}

export interface NewSessionsOptions {
  readonly store: Pick<Store, 'usageOf'>
  readonly lineages: Pick<Lineages, 'begin'>
  readonly now: Now
  /** Maximum bytes of all temporary sessions. */
  readonly maxTemporaryBytes: number
}

/** Creates sessions. Only keeps the temporary ones. */
export class NewSessions {
  readonly #options: NewSessionsOptions
  /** Sessions created while the store was unavailable, by key. */
  readonly temporary: SessionCache

  constructor(options: NewSessionsOptions) {
    this.#options = options
    this.temporary = new SessionCache(options.maxTemporaryBytes)
  }

  /** Throws `QUOTA_EXCEEDED` if the tenant has `maxSessions` sessions. */
  async checkQuota({ tenant, maxSessions }: SessionOwner): Promise<void> {
    if (maxSessions === undefined) return
    const { sessions } = await this.#options.store.usageOf(tenant)
    if (sessions < maxSessions) return
    throw new CwmError(
      'QUOTA_EXCEEDED',
      `this tenant has ${sessions} sessions; at most ${maxSessions} are allowed (setting max_sessions); end some with DELETE /cwm/v1/sessions/<id>`,
      { param: 'x-cwm-session' },
    )
  }

  /** The record of a new session. Does not store it. */
  async record(owner: SessionOwner, id: string, named: boolean): Promise<SessionRecord> {
    return this.#record(owner.tenant, id, named, await this.#options.lineages.begin(owner))
  }

  /**
   * A temporary session: cold, with a lineage that nobody else has. The same id returns the same session while the store is unavailable.
   */
  withoutStore(tenant: string, id: string): LiveSession {
    const key = sessionKey(tenant, id)
    const known = this.temporary.get(key)
    if (known !== undefined) return known
    const record = this.#record(tenant, id, true, { lineage: randomId() })
    const session = new LiveSession(record, { stored: false, temporary: true })
    this.temporary.set(key, session)
    return session
  }

  #record(tenant: string, name: string, named: boolean, lineage: Pick<SessionRecord, 'lineage' | 'shared'>) {
    const at = this.#options.now()
    // Copied: a name from a path is a slice, and V8 would keep the whole request target for as long as the session.
    const id = Buffer.from(name).toString()
    return { tenant, id, named, ...lineage, head: 0, spaces: [], createdAt: at, lastTurnAt: at, turns: 0 }
  }
}
