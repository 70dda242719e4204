// Gives each salt its space before its first dispatch, if the backend evicts per salt and wipes salts without space
// (docs/engine-behavior.md#quotas). Otherwise it costs a request nothing.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { KvBackend, KvLink } from './kv.ts'

export interface QuotaParts {
  readonly kv: Pick<KvBackend, 'expects' | 'open'>
  readonly log: Logger
  readonly now: Now
}

/** Salts whose quota is remembered; a dropped one is set again. Not lru-cache's `max`, which preallocates: few deployments have such servers. */
const MAX_SALTS = 100_000
/** How long a dispatch waits for its salt's first quota. After that its KV may be wiped and recomputed. */
const MAX_WAIT_MS = 1_000
/** Interval between checks of whether the backend requires quotas. */
const LINK_REFRESH_MS = 10_000
/** A restarted server forgets its quotas, so each is renewed while its salt is in use. */
const RENEW_MS = 60_000
const RETRY_MS = 5_000

/** The last quota write of one salt. */
interface QuotaState {
  readonly over: Promise<void>
  done: boolean
  /** When it must be written again, milliseconds since the epoch. */
  dueAt: number
}

export class SaltQuotas {
  readonly #parts: QuotaParts
  readonly #quotas = new LRUCache<string, QuotaState>({ maxSize: MAX_SALTS, sizeCalculation: () => 1 })
  #link: KvLink | undefined
  #refreshAt = 0
  #failing = false

  constructor(parts: QuotaParts) {
    this.#parts = parts
    this.#refreshLink()
  }

  /**
   * Await this before dispatching under the salt. Undefined if there is nothing to wait for: no server requires quotas, or the salt has one.
   * Waits at most one second, and never rejects.
   */
  ensure(salt: string, limitGb: number): Promise<void> | undefined {
    if (!this.#parts.kv.expects.quota) return undefined
    this.#refreshLink()
    const link = this.#link
    if (link === undefined || !link.capabilities.quota) return undefined
    const told = this.#quotas.get(salt)
    if (told === undefined) return atMost(MAX_WAIT_MS, this.#setQuota(link, salt, limitGb).over)
    if (told.dueAt <= this.#parts.now()) this.#setQuota(link, salt, limitGb)
    else if (!told.done) return atMost(MAX_WAIT_MS, told.over)
    return undefined
  }

  /** Removes the quota of a salt that is never used again. Never rejects: a leftover quota does no harm. */
  async remove(salt: string): Promise<void> {
    this.#quotas.delete(salt)
    if (this.#link === undefined || !this.#link.capabilities.quota) return
    try {
      this.#report(await this.#link.dropSpace(salt))
    } catch (thrown) {
      this.#report([toCwmError(thrown).message])
    }
  }

  #setQuota(link: KvLink, salt: string, limitGb: number): QuotaState {
    const { now } = this.#parts
    const write = async () => {
      const failures = await link.ensureSpace(salt, limitGb).catch((thrown: unknown) => [toCwmError(thrown).message])
      this.#report(failures)
      told.done = true
      told.dueAt = now() + (failures.length === 0 ? RENEW_MS : RETRY_MS)
    }
    const told: QuotaState = { over: write(), done: false, dueAt: Number.POSITIVE_INFINITY }
    this.#quotas.set(salt, told)
    return told
  }

  #refreshLink(): void {
    const { kv, now } = this.#parts
    if (!kv.expects.quota || now() < this.#refreshAt) return
    this.#refreshAt = now() + LINK_REFRESH_MS
    kv.open().then(
      (link) => {
        this.#link = link
      },
      // Keeps the last known link: an unreachable server keeps its eviction policy.
      () => {},
    )
  }

  /** Logs once when failures start and once when they end, not once per request. */
  #report(failures: readonly string[]): void {
    const { log } = this.#parts
    if (failures.length > 0 && !this.#failing) {
      log.warn({ failures }, 'the KV layer rejects quotas: what these salts store may be evicted at once')
    }
    if (failures.length === 0 && this.#failing) log.info({}, 'the KV layer accepts quotas again')
    this.#failing = failures.length > 0
  }
}

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, patience])
  clearTimeout(timer)
}
