// What accounts use within a minute. No other process writes this store, and a restart may begin a new minute, so memory is enough.

import type { Now } from '../../base/clock.ts'
import type { RateMethods } from '../rate-methods.ts'
import { RateWindows } from '../rate-windows.ts'

export function ratesIn(now: Now): RateMethods {
  const windows = new RateWindows(now)
  return {
    takeRate: async (owner, accounts, tokens) => windows.take(owner, accounts, tokens),
    settleRate: async (owner, accounts, at, change) => windows.settle(owner, accounts, at, change),
    readRates: async (owner, accounts) => windows.read(owner, accounts),
  }
}
