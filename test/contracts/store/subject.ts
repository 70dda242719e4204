// The subject of the store contract's tests.

import type { Sealer } from '../../../src/store/seal.ts'
import type { Store } from '../../../src/store/store.ts'

/** An empty store, for one test. */
export interface StoreUnderTest {
  readonly store: Store
  /** Another handle on the same data, like that of a second process or a later start. */
  reopen(): Promise<Store>
  /** Like {@link reopen}, with other keys or none. */
  reopenWith(sealer: Sealer | undefined): Promise<Store>
  /** Closes every handle and removes the data. */
  dispose(): Promise<void>
}

/** The store of the running test. */
export type Subject = () => StoreUnderTest
