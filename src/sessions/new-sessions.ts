// Sessions as they begin: whether their tenant may have one more, under which lineage, and what takes their place while there is no store.

import type { Now } from '../base/clock.ts'
import { CwmError } from '../base/errors.ts'
import { randomId, sessionKey } from '../base/ids.ts'
import type { SessionRecord } from '../base/records.ts'
import type { Isolation } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'
import type { Lineages } from './lineages.ts'
import { LiveSession } from './live-session.ts'
import { SessionCache } from './session-cache.ts'

/** Who begins a session: the tenant's rules for it, and whom the client named as its user. */
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
  /** Of all sessions of a time without a store, bytes. */
  readonly maxTemporaryBytes: number
}

/** Makes sessions; keeps none but those of a time without a store. */
export class NewSessions {
  readonly #options: NewSessionsOptions
  /** Named sessions of a time without a store, by key. */
  readonly temporary: SessionCache

  constructor(options: NewSessionsOptions) {
    this.#options = options
    this.temporary = new SessionCache(options.maxTemporaryBytes)
  }

  /** Throws `QUOTA_EXCEEDED` where the tenant has all the sessions that it may have. */
  async checkQuota({ tenant, maxSessions }: SessionOwner): Promise<void> {
    if (maxSessions === undefined) return
    const { sessions } = await this.#options.store.usageOf(tenant)
    if (sessions < maxSessions) return
    throw new CwmError(
      'QUOTA_EXCEEDED',
      `this tenant has ${sessions} sessions of ${maxSessions} (setting max_sessions); end some with DELETE /cwm/v1/sessions/<id>`,
      { param: 'x-cwm-session' },
    )
  }

  /** A session that nobody has stored yet. */
  async record(owner: SessionOwner, id: string, named: boolean): Promise<SessionRecord> {
    return this.#record(owner.tenant, id, named, await this.#options.lineages.begin(owner))
  }

  /** Cold, and isolated: a lineage that nobody else can have. By its name it is found again for as long as the store is away. */
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
    // A name from a path is a slice, by which V8 would keep the whole request target as long as the session.
    const id = Buffer.from(name).toString()
    return { tenant, id, named, ...lineage, head: 0, spaces: [], createdAt: at, lastTurnAt: at, turns: 0 }
  }
}
