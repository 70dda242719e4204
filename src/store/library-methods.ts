// What the store keeps of libraries: a record of each, and the prompts of windows that are not frozen yet.

import type { LibraryRecord } from '../base/library-records.ts'
import type { Prompt } from '../base/records.ts'
import type { Page, PageRequest } from './store-values.ts'

/** A window to be frozen for a library. */
export interface PendingPart {
  /** Its name. */
  readonly window: string
  readonly prompt: Prompt
}

export interface LibraryMethods {
  getLibrary(tenant: string, name: string): Promise<LibraryRecord | undefined>
  /** By name. */
  listLibraries(tenant: string, page: PageRequest): Promise<Page<LibraryRecord>>
  countLibraries(tenant: string): Promise<number>
  /**
   * Stores a record if the stored one has the revision before it; revision 1 if there is none. `parts` replaces the pending parts, none of
   * which is done then. Returns false, without a change, if another revision is stored. Atomic.
   */
  putLibrary(record: LibraryRecord, parts?: readonly PendingPart[]): Promise<boolean>
  /** Removes a record with this revision, and its pending parts. Returns false if there is another. */
  removeLibrary(tenant: string, name: string, revision: number): Promise<boolean>
  /** Of all tenants, up to `atMost`: those with background work left (`isOpenLibrary`). */
  listOpenLibraries(atMost: number): Promise<readonly Pick<LibraryRecord, 'tenant' | 'name'>[]>
  /** The windows of its pending parts, and whether each is done. */
  listLibraryParts(tenant: string, name: string): Promise<ReadonlyMap<string, boolean>>
  getLibraryPart(tenant: string, name: string, window: string): Promise<Prompt | undefined>
  /** Does nothing if there is no such part. */
  markLibraryPart(tenant: string, name: string, window: string, done: boolean): Promise<void>
}
