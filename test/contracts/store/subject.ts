// What the contract's tests are run on.

import type { Sealer } from '../../../src/store/seal.ts'
import type { Store } from '../../../src/store/store.ts'

/** A store with nothing in it, for one test. */
export interface StoreUnderTest {
  readonly store: Store
  /** Another handle on the same data, as a second process or a later start would have it. */
  reopen(): Promise<Store>
  /** As {@link reopen}, with other keys or none. */
  reopenWith(sealer: Sealer | undefined): Promise<Store>
  /** Closes every handle and removes the data. */
  dispose(): Promise<void>
}

/** The store of the running test. */
export type Subject = () => StoreUnderTest
