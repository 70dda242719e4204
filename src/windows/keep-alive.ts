// What a thaw does for the window itself: its KV moves to today's epoch, a pin that was given back is made again, and the thaw is noted.

import { toCwmError } from '../base/errors.ts'
import type { WindowRecord } from '../base/records.ts'
import type { WindowParts } from './parts.ts'
import { makeRoomForPin, pinEnd } from './pin-budget.ts'
import { pinWindow, unpinWindow } from './pins.ts'
import type { Remarks } from './remarks.ts'

/**
 * Before the warm call. Answers the record as it is then; what the KV layer refuses is a warning, and the reconciler's to mend.
 * Chunks of an older epoch are left to eviction: nothing can load them (LMCache's keys hold no dtype, so they are not even replaced).
 */
export async function prepareToWarm(
  parts: WindowParts,
  record: WindowRecord,
  ids: Uint32Array,
  engineName: string | undefined,
  { warnings, notes }: Remarks,
): Promise<WindowRecord> {
  const { store, kv, kvEpoch } = parts
  const { tenant, name, id } = record
  const moved = record.kvEpoch !== kvEpoch
  if (moved) {
    notes.push(`kv_epoch is ${kvEpoch} and was ${record.kvEpoch} at freeze: the KV is computed anew`)
  }
  if (!moved && record.pin !== 'released') return record
  let current = record
  try {
    const link = await kv.open()
    if (moved && link !== undefined) await unpinWindow(parts, link, record)
    if (moved) {
      const change = { kvEpoch, pin: 'none' as const }
      await store.changeWindow(tenant, name, id, change)
      current = { ...record, ...change }
    }
    const handle = engineName === undefined ? undefined : link?.plan(engineName, ids.length)
    if (link?.capabilities.pin !== true || handle === undefined) return current
    if (link.extentOf(handle, ids.length).chunks === 0) return current
    const released = await makeRoomForPin(parts, link, current, ids.length)
    if (released.length > 0) warnings.push(`to make room, these windows gave their pin back: ${released.join(', ')}`)
    await pinWindow(parts, link, current, ids, handle)
    return { ...current, pin: 'pinned', keys: handle }
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'STORE_UNAVAILABLE' || error.code === 'INTERNAL') throw error
    warnings.push(`not pinned: ${error.message}`)
    return current
  }
}

/** After the warm call: when it was, and from then on the pin's time runs anew. */
export async function noteThaw(parts: WindowParts, record: WindowRecord): Promise<void> {
  const { tenant, name, id } = record
  const pinUntil = record.pin === 'pinned' ? pinEnd(parts, tenant) : undefined
  await parts.store.changeWindow(tenant, name, id, {
    thawedAt: parts.now(),
    thaws: (record.thaws ?? 0) + 1,
    ...(pinUntil === undefined ? {} : { pinUntil }),
  })
}
