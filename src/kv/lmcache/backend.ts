// LMCache behind the port: a link that is rediscovered when LMCache has changed, and health.

import type { Now } from '../../base/clock.ts'
import type { KvBackend, KvCapabilities, KvHealth, KvLink } from '../kv.ts'
import type { LmcacheConnector } from './connector.ts'
import { LmcacheKvLink } from './kv-link.ts'

export class LmcacheBackend implements KvBackend {
  /** LMCache pins chunks that do not exist yet, and may evict an unpinned chunk right after storing it. */
  readonly holds = 'before-warm'
  readonly expects: KvCapabilities
  readonly #link: LmcacheConnector
  readonly #now: Now

  constructor(link: LmcacheConnector, now: Now) {
    this.#link = link
    this.#now = now
    this.expects = { pin: link.expectsPins, quota: true }
  }

  async open(): Promise<KvLink | undefined> {
    const link = await this.#link.open()
    return link === undefined ? undefined : new LmcacheKvLink(link, this.#now)
  }

  invalidate(): void {
    this.#link.invalidate()
  }

  health(): Promise<KvHealth> {
    return this.#link.health()
  }
}
