// What every store must do, according to store/store.ts. A store's own test calls this and adds its own cases.

import { afterEach, beforeEach, describe } from 'vitest'
import type { Sealer } from '../../../src/store/seal.ts'
import { describeApiKeys } from './api-keys.ts'
import { describeDeletions } from './deletions.ts'
import { describeEngines } from './engines.ts'
import { describeEvents } from './events.ts'
import { describeFirstTurns } from './first-turns.ts'
import { describeHeldWindows } from './held-windows.ts'
import { describeLedger } from './ledger.ts'
import { describeLibraries } from './libraries.ts'
import { describeClosing, describeMeta, describeUses } from './lifecycle.ts'
import { describeLineages } from './lineages.ts'
import { describeLogins } from './logins.ts'
import { describePaging } from './paging.ts'
import { describeRates } from './rates.ts'
import { describeRetained } from './retained.ts'
import { contractSealer, describeSealing, describeTurningSealingOn } from './sealing.ts'
import { describeSessions } from './sessions.ts'
import type { StoreUnderTest, Subject } from './subject.ts'
import { describeAudit, describeChoices, describeForgetting, describeLimits, describeUsage } from './tenants.ts'
import { describeBoundaries, describeExpiry, describeResponses } from './traces.ts'
import { describeWindowList } from './window-list.ts'
import { describeContent, describeWindows } from './windows.ts'

export type { StoreUnderTest } from './subject.ts'

/** Opens an empty store; with a sealer it is encrypted. Its bound of placements is `FEW_PLACEMENTS`. */
export type OpenStore = (sealer?: Sealer) => Promise<StoreUnderTest>

/** Declares the contract's tests for the stores that `open` returns: all of them unencrypted, and those about encryption with a key. */
export function describeStoreContract(name: string, open: OpenStore): void {
  const sealed = [
    describeWindows,
    describeContent,
    describeDeletions,
    describeHeldWindows,
    describeRetained,
    describeLibraries,
    describeClosing,
    describeSealing,
  ]
  declare(`${name} keeps the store contract`, open, [
    describeMeta,
    describeUses,
    describeSessions,
    describeFirstTurns,
    describeBoundaries,
    describeResponses,
    describeExpiry,
    describeLineages,
    describeWindows,
    describeContent,
    describeWindowList,
    describePaging,
    describeDeletions,
    describeHeldWindows,
    describeUsage,
    describeChoices,
    describeLimits,
    describeAudit,
    describeEvents,
    describeEngines,
    describeForgetting,
    describeLogins,
    describeRetained,
    describeLibraries,
    describeLedger,
    describeRates,
    describeApiKeys,
    describeClosing,
    describeTurningSealingOn,
  ])
  declare(`${name} keeps the store contract with encryption`, () => open(contractSealer), sealed)
}

function declare(
  name: string,
  open: () => Promise<StoreUnderTest>,
  parts: readonly ((subject: Subject) => void)[],
): void {
  describe(name, () => {
    let current: StoreUnderTest
    beforeEach(async () => {
      current = await open()
    })
    afterEach(() => current.dispose())

    for (const describePart of parts) describePart(() => current)
  })
}
