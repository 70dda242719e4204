// What a thaw does for the window itself: its KV moves to today's epoch, a pin that was given back is made again, and the thaw is noted.

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
 * Moves a window to today's epoch, before anything is computed for it. What the KV layer refuses is a warning, and the reconciler's to mend.
 * Chunks of an older epoch are left to eviction: nothing can load them (LMCache's keys hold no dtype, so they are not even replaced).
 */
export async function moveToEpoch(
  parts: WindowParts,
  record: WindowRecord,
  { warnings, notes }: Remarks,
): Promise<RefreshedWindow> {
  const { store, kv, kvEpoch } = parts
  if (record.kvEpoch === kvEpoch) return { record, needsPin: record.pin === 'released' }
  notes.push(`kv_epoch is ${kvEpoch} and was ${record.kvEpoch} at freeze: the KV is computed anew`)
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

/** Pins what lost its pin, where the KV layer can. Returns the record as it is then; failures are warnings. */
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
    if (released.length > 0) warnings.push(`to make room, these windows gave their pin back: ${released.join(', ')}`)
    await pinWindow(parts, link, record, ids, handle)
    return { ...record, pin: 'pinned', keys: handle }
  } catch (thrown) {
    warnings.push(pinWarning(thrown))
    return record
  }
}

/** Why, in words for the receipt. Throws what is no matter of pins. */
function pinWarning(thrown: unknown): string {
  const error = toCwmError(thrown)
  if (error.code === 'STORE_UNAVAILABLE' || error.code === 'INTERNAL') throw error
  return `not pinned: ${error.message}`
}

/** After the warm call: when it was, and from then on the pin's time runs anew. */
export async function recordThaw(parts: WindowParts, record: WindowRecord): Promise<void> {
  const { tenant, name, id } = record
  const pinUntil = record.pin === 'pinned' ? pinExpiry(parts, tenant) : undefined
  await parts.store.changeWindow(tenant, name, id, {
    thawedAt: parts.now(),
    thaws: (record.thaws ?? 0) + 1,
    ...(pinUntil === undefined ? {} : { pinUntil }),
  })
}
