// The pin of one window: made before its chunks are warmed, so that no eviction comes between, and given back exactly once.
// One pin of the whole sequence per window: LMCache counts them per chunk, so windows that share chunks need no count of ours
// (docs/decisions/0003). The state is stored before and after each call, so after a crash it is a question that the coordinator's count answers.

import { CwmError } from '../base/errors.ts'
import type { ChunkKeys, PinState, WindowRecord } from '../base/records.ts'
import type { Link } from '../kv/lmcache/link.ts'
import { type SaltSpace, sameSalt, type WindowParts } from './parts.ts'

type PinParts = Pick<WindowParts, 'store' | 'saltOf'>

/** What a pin is held for: a window, or what is left of one in the order to delete it. */
export interface Pinned extends SaltSpace {
  /** Of the window. */
  readonly id: string
  readonly pin: PinState
  readonly keys?: ChunkKeys
}

/** Pins the window's whole chunks and stores that it did. Throws what LMCache or the store throws; the state then is `pinning`. */
export async function pinWindow(
  { store, saltOf }: PinParts,
  { client }: Link,
  record: WindowRecord,
  tokenIds: Uint32Array,
  keys: ChunkKeys,
): Promise<void> {
  const { tenant, name, id } = record
  if (!(await store.changeWindow(tenant, name, id, { pin: 'pinning', keys, tokenIds }))) {
    throw new CwmError('WINDOW_NOT_FOUND', `window ${name} was deleted meanwhile`)
  }
  await client.pin({ tokenIds, salt: saltOf(record), keys })
  await store.changeWindow(tenant, name, id, { pin: 'pinned' })
}

/** Gives the window's pin back, if it has one, and stores that it is `after` now. */
export async function unpinWindow(
  parts: PinParts,
  link: Link,
  record: WindowRecord,
  after: 'none' | 'released' = 'none',
): Promise<void> {
  const { tenant, name, id, keys } = record
  const content = keys === undefined ? undefined : await parts.store.getWindowContent(tenant, name, id)
  if (content !== undefined) await givePinBack(parts, link, record, content.tokenIds)
  await parts.store.changeWindow(tenant, name, id, { pin: after, pinUntil: undefined })
}

/** Gives a pin back if it is held; answers whether it was. Throws `LMCACHE_UNREACHABLE` when there is no coordinator now. */
export async function givePinBack(
  parts: PinParts,
  link: Link,
  pinned: Pinned,
  tokenIds: Uint32Array,
): Promise<boolean> {
  const { keys, pin } = pinned
  if (keys === undefined || pin === 'none' || pin === 'released') return false
  if (!link.client.pins) {
    throw new CwmError('LMCACHE_UNREACHABLE', 'no coordinator takes the pin back now; it is given back when one does')
  }
  // Asked even when the store says `pinned`: a crash may have come between the call and its record, and a second unpin would
  // take the pin of another window with the same chunks.
  if ((await settlePin(parts, link, pinned, tokenIds)) !== 'pinned') return false
  await link.client.unpin({ tokenIds, salt: parts.saltOf(pinned), keys })
  return true
}

/**
 * Finds out whether a pin that was asked for before a crash, or lost with the coordinator's metadata, is held: by the count on the
 * window's last chunk against the windows that are known to hold one.
 */
export async function settlePin(
  parts: PinParts,
  { client }: Link,
  pinned: Pinned,
  tokenIds: Uint32Array,
): Promise<'none' | 'pinned'> {
  const { keys } = pinned
  if (keys === undefined || !client.pins) return 'none'
  const salt = parts.saltOf(pinned)
  const last = (await client.lookup({ tokenIds, salt, keys })).chunks.at(-1)
  if (last === undefined) return 'none'
  // In this order: a window that pins in between makes this one look pinned, which the next run mends; not one pin too many.
  const others = await countOtherPins(parts, pinned, tokenIds, keys)
  const count = (await client.listPins({ salt, keys })).get(last.hash) ?? 0
  return count > others ? 'pinned' : 'none'
}

/** Pins that other windows hold on the last whole chunk of this one: those whose ids begin with all of this one's chunks. */
async function countOtherPins(
  { store }: PinParts,
  pinned: Pinned,
  tokenIds: Uint32Array,
  { chunkSize }: ChunkKeys,
): Promise<number> {
  const whole = tokenIds.subarray(0, Math.floor(tokenIds.length / chunkSize) * chunkSize)
  let count = 0
  for (const other of (await store.holdersOf(pinned.tenant, pinned.lineage)).windows) {
    if (other.id === pinned.id || other.pin !== 'pinned' || !sameSalt(other, pinned)) continue
    const content = await store.getWindowContent(other.tenant, other.name, other.id)
    if (content !== undefined && whole.every((token, i) => content.tokenIds[i] === token)) count++
  }
  return count
}
