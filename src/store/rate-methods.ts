// The part of the store that counts what accounts use within a minute.

import type { RateLimit, RateUse } from '../base/rates.ts'

/** Uses are counted by the second in which they began, so what a whole minute can contain spans this many. */
export const RATE_SLOTS = 61
/** Accounts in the memory of one process. A whole one takes about 8 kB, most of them a few hundred bytes. */
export const MAX_RATE_ACCOUNTS = 10_000

/** One limit: a tenant's, or that of one of its keys. */
export interface RateAccount {
  /** Unique within the owner. */
  readonly name: string
  readonly limit: RateLimit
}

export interface RateAnswer {
  /** The second since the epoch to which the use was added; undefined if it does not fit now, and then nothing was added. */
  readonly at: number | undefined
  /** Of each account, this use included. */
  readonly uses: readonly RateUse[]
  /** Milliseconds after which the same use would fit, if nothing else were added; 0 if it fits. */
  readonly waitMs: { readonly requests: number; readonly tokens: number }
}

/**
 * Each owner's accounts are changed together. The clock is the store's. Counts are kept for a minute, and nothing of them is durable: a
 * store that only one process writes keeps them in its memory.
 */
export interface RateMethods {
  /** Adds a request with `tokens` to all of these accounts if it fits into each, otherwise to none. Atomic. */
  takeRate(owner: string, accounts: readonly RateAccount[], tokens: number): Promise<RateAnswer>
  /**
   * Corrects what `takeRate` added in the second `at`. What is given back is taken from that second, if it still counts; what is added counts
   * from now on, even beyond a limit.
   */
  settleRate(owner: string, accounts: readonly string[], at: number, change: RateChange): Promise<void>
  readRates(owner: string, accounts: readonly string[]): Promise<readonly RateUse[]>
}

/** Whole numbers; negative to give back. */
export interface RateChange {
  readonly requests: number
  readonly tokens: number
}
