// Counts what accounts use within a minute, in the memory of one process: for a store that no other process writes, and while the shared
// one does not answer. Redis does the same in a script (redis/redis-rates.ts).

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { RateUse } from '../base/rates.ts'
import { MAX_RATE_ACCOUNTS, RATE_SLOTS, type RateAccount, type RateAnswer, type RateChange } from './rate-methods.ts'

type Kind = 'requests' | 'tokens'
/** What was used in one second. */
type Slot = Record<Kind, number>

/** By second, in the order of time. At most `RATE_SLOTS` of them, unless the clock was set back. */
type Account = Map<number, Slot>

export class RateWindows {
  readonly #now: Now
  readonly #accounts: LRUCache<string, Account>

  /** Beyond `maxAccounts`, the least recently used account starts over. */
  constructor(now: Now, maxAccounts = MAX_RATE_ACCOUNTS) {
    this.#now = now
    this.#accounts = new LRUCache({ max: maxAccounts })
  }

  /** See `RateMethods`. */
  take(owner: string, accounts: readonly RateAccount[], tokens: number): RateAnswer {
    const ms = this.#now()
    const known = accounts.map(({ name, limit }) => ({ limit, slots: this.#slotsOf(owner, name, ms) }))
    const longest = (kind: Kind, more: number) =>
      Math.max(0, ...known.map(({ limit, slots }) => waitMs(slots, kind, more, limit[kind], ms)))
    const wait = { requests: longest('requests', 1), tokens: longest('tokens', tokens) }
    const fits = wait.requests === 0 && wait.tokens === 0
    const second = Math.floor(ms / 1000)
    if (fits) for (const { slots } of known) add(slots, second, { requests: 1, tokens })
    return { at: fits ? second : undefined, uses: known.map(({ slots }) => useOf(slots, ms)), waitMs: wait }
  }

  settle(owner: string, accounts: readonly string[], at: number, change: RateChange): void {
    const ms = this.#now()
    for (const name of accounts) {
      const slots = this.#slotsOf(owner, name, ms)
      for (const kind of ['requests', 'tokens'] as const) {
        const more = change[kind]
        const slot = slots.get(at)
        if (more > 0) add(slots, Math.floor(ms / 1000), { requests: 0, tokens: 0, [kind]: more })
        else if (slot !== undefined) slot[kind] = Math.max(0, slot[kind] + more)
      }
    }
  }

  read(owner: string, accounts: readonly string[]): RateUse[] {
    const ms = this.#now()
    return accounts.map((name) => useOf(this.#slotsOf(owner, name, ms), ms))
  }

  /** Without what no longer counts. */
  #slotsOf(owner: string, name: string, ms: number): Account {
    const key = JSON.stringify([owner, name])
    const slots: Account = this.#accounts.get(key) ?? new Map()
    this.#accounts.set(key, slots)
    const oldest = Math.floor(ms / 1000) - RATE_SLOTS + 1
    for (const second of slots.keys()) {
      if (second >= oldest) break
      slots.delete(second)
    }
    return slots
  }
}

function add(slots: Account, second: number, more: Slot): void {
  const slot = slots.get(second)
  if (slot === undefined) slots.set(second, { ...more })
  else for (const kind of ['requests', 'tokens'] as const) slot[kind] += more[kind]
}

function useOf(slots: Account, ms: number): RateUse {
  const sum = { requests: 0, tokens: 0 }
  const newest = { requests: 0, tokens: 0 }
  for (const [second, slot] of slots) {
    for (const kind of ['requests', 'tokens'] as const) {
      sum[kind] += slot[kind]
      if (slot[kind] > 0) newest[kind] = Math.max(newest[kind], second)
    }
  }
  const resetMs = (kind: Kind) => (newest[kind] === 0 ? 0 : (newest[kind] + RATE_SLOTS) * 1000 - ms)
  return { ...sum, requestsResetMs: resetMs('requests'), tokensResetMs: resetMs('tokens') }
}

/** Milliseconds until `more` fits; 0 if it does, and the whole window if it never will. */
function waitMs(slots: Account, kind: Kind, more: number, limit: number | undefined, ms: number): number {
  if (limit === undefined) return 0
  let left = more
  for (const slot of slots.values()) left += slot[kind]
  if (left <= limit) return 0
  for (const [second, slot] of slots) {
    left -= slot[kind]
    if (left <= limit) return (second + RATE_SLOTS) * 1000 - ms
  }
  return RATE_SLOTS * 1000
}
