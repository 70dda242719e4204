// The price of isolation: tokens that were computed again, because a session shares no KV with another of its tenant that has the same
// prefix. It is an estimate, because the engine reports one count for the whole prompt.

import type { Now } from '../base/clock.ts'
import { FairMap } from '../base/fair-map.ts'
import type { Usage } from '../base/records.ts'
import type { UsageOwner } from '../base/usage-sink.ts'
import type { Ledger } from './ledger.ts'

export interface FirstTurn {
  /** Equal if two sessions start with the same prefix. */
  readonly digest: string
  /** The prefix's share of the request's bytes, 0 to 1. */
  readonly share: number
  readonly usage: Usage
}

export interface IsolationPriceParts {
  readonly ledger: Pick<Ledger, 'repeated'>
  readonly now: Now
}

/** Prefixes in memory, of all tenants. About 200 bytes each. */
const MAX_OPENINGS = 20_000
const IDLE_MS = 3_600_000

export class IsolationPrice {
  readonly #ledger: Pick<Ledger, 'repeated'>
  readonly #seen: FairMap<true>

  constructor({ ledger, now }: IsolationPriceParts) {
    this.#ledger = ledger
    this.#seen = new FairMap({ maxWeight: MAX_OPENINGS, idleMs: IDLE_MS, now })
  }

  /**
   * Counts the first turn of a session with a lineage of its own. Not counted: the first session with this prefix, cached tokens, and
   * prompts whose cached part is unknown.
   */
  record(owner: UsageOwner, { digest, share, usage }: FirstTurn): void {
    const key = JSON.stringify([owner.tenant, owner.model, digest])
    const isKnown = this.#seen.get(key) !== undefined
    this.#seen.set(owner.tenant, key, true, 1)
    const { promptTokens, cachedTokens } = usage
    if (!isKnown || cachedTokens === undefined) return
    this.#ledger.repeated(owner, Math.max(0, Math.min(Math.round(share * promptTokens), promptTokens - cachedTokens)))
  }
}
