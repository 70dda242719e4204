// The pin of one window: placed before its chunks are warmed, so that they cannot be evicted in between, and released exactly once.
// Each window has one pin over its whole sequence; the backend counts pins where windows share chunks (docs/decisions/0003). The state is
// stored before and after each call, so that after a crash the backend can be asked whether the pin is held.

import { CwmError } from '../base/errors.ts'
import type { KvHandle, PinState, WindowRecord } from '../base/records.ts'
import type { CountHolds, KvLink, KvSequence } from '../kv/kv.ts'
import { type SaltSpace, sameSalt, type WindowParts } from './parts.ts'

type PinParts = Pick<WindowParts, 'store' | 'saltOf'>

/** What a pin is held for: a window, or the order that deletes one. */
export interface PinHolder extends SaltSpace {
  /** The window's id. */
  readonly id: string
  readonly pin: PinState
  readonly keys?: KvHandle
}

/** Pins the window's whole chunks and records it. Throws what the backend or the store throws; the state is then `pinning`. */
export async function pinWindow(
  { store, saltOf }: PinParts,
  link: KvLink,
  record: WindowRecord,
  tokenIds: Uint32Array,
  handle: KvHandle,
): Promise<void> {
  const { tenant, name, id } = record
  if (!(await store.changeWindow(tenant, name, id, { pin: 'pinning', keys: handle, tokenIds }))) {
    throw new CwmError('WINDOW_NOT_FOUND', `window ${name} was deleted during this request`)
  }
  await link.hold({ tokenIds, salt: saltOf(record), handle })
  await store.changeWindow(tenant, name, id, { pin: 'pinned' })
}

/** Releases the window's pin, if it has one, and sets its state to `after`. */
export async function unpinWindow(
  parts: PinParts,
  link: KvLink,
  record: WindowRecord,
  after: 'none' | 'released' = 'none',
): Promise<void> {
  const { tenant, name, id, keys } = record
  const content = keys === undefined ? undefined : await parts.store.getWindowContent(tenant, name, id)
  if (content !== undefined) await releasePin(parts, link, record, content.tokenIds)
  await parts.store.changeWindow(tenant, name, id, { pin: after, pinUntil: undefined })
}

/** Releases a pin if it is held; returns whether it was. Throws `LMCACHE_UNREACHABLE` if the backend cannot release it now. */
export async function releasePin(
  parts: PinParts,
  link: KvLink,
  pinned: PinHolder,
  tokenIds: Uint32Array,
): Promise<boolean> {
  const sequence = sequenceOf(parts, pinned, tokenIds)
  if (sequence === undefined || pinned.pin === 'none' || pinned.pin === 'released') return false
  return await link.release(sequence, countOtherHolders(parts, pinned))
}

/** Whether a pin is held that was requested before a crash, or may be lost with the backend's metadata. False if that is unknown. */
export async function isPinHeld(
  parts: PinParts,
  link: KvLink,
  pinned: PinHolder,
  tokenIds: Uint32Array,
): Promise<boolean> {
  const sequence = sequenceOf(parts, pinned, tokenIds)
  return sequence !== undefined && (await link.isHeld(sequence, countOtherHolders(parts, pinned))) === true
}

function sequenceOf({ saltOf }: PinParts, pinned: PinHolder, tokenIds: Uint32Array): KvSequence | undefined {
  return pinned.keys === undefined ? undefined : { tokenIds, salt: saltOf(pinned), handle: pinned.keys }
}

/** Counts the other windows that hold a pin under the same salt and whose ids start with the held ids. */
function countOtherHolders({ store }: PinParts, pinned: PinHolder): CountHolds {
  return async (heldIds) => {
    let count = 0
    for (const other of (await store.holdersOf(pinned.tenant, pinned.lineage)).windows) {
      if (other.id === pinned.id || other.pin !== 'pinned' || !sameSalt(other, pinned)) continue
      const content = await store.getWindowContent(other.tenant, other.name, other.id)
      if (content !== undefined && heldIds.every((token, i) => content.tokenIds[i] === token)) count++
    }
    return count
  }
}
