// Deletes a library with all its windows, and sums up their receipts.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import { inParallel } from '../base/in-parallel.ts'
import type { LibraryRecord } from '../base/library-records.ts'
import { type DeletionSum, sumOfDeletions } from '../windows/erase-tenant.ts'
import { asDeleted } from './library-changes.ts'
import type { LibraryParts } from './parts.ts'

export interface LibraryDeletion extends DeletionSum {
  readonly name: string
  /** How many windows were deleted. */
  readonly windows: number
  /** Windows that were still being frozen. They are deleted in the background. */
  readonly windowsLeft: number
  readonly ms: number
}

const DELETES_AT_ONCE = 8
/** Attempts, because a build may change the library at the same time. */
const ATTEMPTS = 5

/**
 * The library is gone at once. Its windows follow; if this is interrupted, in the background. Throws `LIBRARY_NOT_FOUND`, `LIBRARY_CHANGED` and
 * what the store throws.
 */
export async function deleteLibrary(
  parts: LibraryParts,
  tenant: string,
  name: string,
  actor: string,
): Promise<LibraryDeletion> {
  const { store, now } = parts
  const start = now()
  const library = await markDeleted(parts, tenant, name)
  const done = await inParallel(library.stale, DELETES_AT_ONCE, (window) => remove(parts, tenant, window, actor))
  const orders = done.filter((outcome) => typeof outcome === 'object')
  const left = library.stale.filter((_, n) => done[n] === 'left')
  if (left.length === 0) await store.removeLibrary(tenant, name, library.revision)
  // From now on it is left to the background.
  else await store.putLibrary({ ...library, revision: library.revision + 1, changedAt: 0, stale: left })
  return { name, windows: orders.length, windowsLeft: left.length, ...sumOfDeletions(orders), ms: now() - start }
}

async function markDeleted({ store, now }: LibraryParts, tenant: string, name: string): Promise<LibraryRecord> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const record = await store.getLibrary(tenant, name)
    if (record === undefined || record.deleted === true) throw libraryNotFound(name)
    const next = asDeleted(record, now())
    if (await store.putLibrary(next, [])) return next
  }
  throw libraryChanged(name)
}

async function remove(
  { deletions }: LibraryParts,
  tenant: string,
  window: string,
  actor: string,
): Promise<DeletionRecord | 'gone' | 'left'> {
  try {
    return await deletions.deleteWindow(tenant, window, 'asked', actor)
  } catch (thrown) {
    const { code } = toCwmError(thrown)
    if (code === 'WINDOW_NOT_FOUND') return 'gone'
    if (code === 'WINDOW_NOT_READY') return 'left'
    throw thrown
  }
}

export function libraryNotFound(name: string): CwmError {
  return new CwmError('LIBRARY_NOT_FOUND', `there is no library ${name} under this key`, { param: 'name' })
}

export function beingDeleted(name: string): CwmError {
  return new CwmError('LIBRARY_CHANGED', `library ${name} is being deleted; try again in a minute`, { param: 'name' })
}

export function libraryChanged(name: string): CwmError {
  return new CwmError(
    'LIBRARY_CHANGED',
    `another request changed library ${name} at the same time; send this request again`,
    {
      param: 'name',
    },
  )
}
