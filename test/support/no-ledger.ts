// For tests that do not look at the ledger.

import type { UsageSink } from '../../src/base/usage-sink.ts'

export const noLedger: UsageSink = { finished: () => {}, warmed: () => {} }
