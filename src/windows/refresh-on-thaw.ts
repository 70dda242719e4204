// What a thaw does for the window itself: it moves its KV to the current epoch, restores a released pin, and records the thaw.

import { toCwmError } from '../base/errors.ts'
import type { WindowRecord } from '../base/records.ts'
import type { WindowParts } from './parts.ts'
import { makeRoomForPin, pinExpiry } from './pin-budget.ts'
import { pinWindow, unpinWindow } from './pins.ts'
import type { Remarks } from './remarks.ts'

/** A window that is being thawed. */
export interface RefreshedWindow {
  readonly record: WindowRecord
  /** It has no pin and should have one: see `restorePin`. */
  readonly needsPin: boolean
}

/**
 * Moves a window to the current epoch before anything is computed for it. A KV layer failure becomes a warning and is left to the reconciler.
 * Chunks of an older epoch are left to eviction: nothing can load them (LMCache's keys contain no dtype, so they are not even replaced).
 */
export async function moveToEpoch(
  parts: WindowParts,
  record: WindowRecord,
  { warnings, notes }: Remarks,
): Promise<RefreshedWindow> {
  const { store, kv, kvEpoch } = parts
  if (record.kvEpoch === kvEpoch) return { record, needsPin: record.pin === 'released' }
  notes.push(`kv_epoch was ${record.kvEpoch} at freeze and is ${kvEpoch} now: the KV is recomputed`)
  try {
    const link = await kv.open()
    if (link !== undefined) await unpinWindow(parts, link, record)
    const change = { kvEpoch, pin: 'none' as const }
    await store.changeWindow(record.tenant, record.name, record.id, change)
    return { record: { ...record, ...change }, needsPin: true }
  } catch (thrown) {
    warnings.push(pinWarning(thrown))
    return { record, needsPin: false }
  }
}

/** Restores a lost or released pin if the KV layer can. Returns the updated record; failures become warnings. */
export async function restorePin(
  parts: WindowParts,
  { record, needsPin }: RefreshedWindow,
  ids: Uint32Array,
  engineName: string | undefined,
  { warnings }: Remarks,
): Promise<WindowRecord> {
  if (!needsPin) return record
  try {
    const link = await parts.kv.open()
    const handle = engineName === undefined ? undefined : link?.plan(engineName, ids.length)
    if (link?.capabilities.pin !== true || handle === undefined) return record
    if (link.extentOf(handle, ids.length).chunks === 0) return record
    const released = await makeRoomForPin(parts, link, record, ids.length)
    if (released.length > 0) warnings.push(`pins of these windows were released to make room: ${released.join(', ')}`)
    await pinWindow(parts, link, record, ids, handle)
    return { ...record, pin: 'pinned', keys: handle }
  } catch (thrown) {
    warnings.push(pinWarning(thrown))
    return record
  }
}

/** The warning for a failed pin. Rethrows errors that do not concern pins. */
function pinWarning(thrown: unknown): string {
  const error = toCwmError(thrown)
  if (error.code === 'STORE_UNAVAILABLE' || error.code === 'INTERNAL') throw error
  return `not pinned: ${error.message}`
}

/** Records the time of a thaw after its warm call, and restarts the pin's TTL. */
export async function recordThaw(parts: WindowParts, record: WindowRecord): Promise<void> {
  const { tenant, name, id } = record
  const pinUntil = record.pin === 'pinned' ? pinExpiry(parts, tenant) : undefined
  await parts.store.changeWindow(tenant, name, id, {
    thawedAt: parts.now(),
    thaws: (record.thaws ?? 0) + 1,
    ...(pinUntil === undefined ? {} : { pinUntil }),
  })
}
