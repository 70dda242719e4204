// Executes one deletion order: releases the pin, retires the lineage if nothing holds it any longer, deletes the chunks that nothing else
// holds, and counts what is left.

import type { DeletionReceipt, DeletionRecord, DependentSessions, KeptFor } from '../base/deletion-records.ts'
import { toCwmError } from '../base/errors.ts'
import type { KvHandle, KvSpace, WindowRecord } from '../base/records.ts'
import { sameSpace } from '../base/spaces.ts'
import type { EraseReceipt, KvLink, KvSequence } from '../kv/kv.ts'
import { openIfReachable } from '../kv/open.ts'
import type { DeletionParts } from './parts.ts'
import { releasePin } from './pins.ts'
import { StepTimer } from './step-timer.ts'

const PROBE_DEADLINE_MS = 15_000

export interface ExecutedDeletion {
  readonly receipt: DeletionReceipt
  /** The pin is released, or there was none. */
  readonly unpinned: boolean
  /** The order must stay open: sessions hold the window's text, or live sessions of the lineage may not know all its spaces. */
  readonly waits: boolean
}

/**
 * Returns what was proven. `heldBy`: the sessions that hold the window's text. They hold its KV too, so after the release of the pin and the
 * deletion of older epochs nothing remains to be done until they are gone. KV layer failures become warnings and leave the residue unknown.
 * Throws what the store throws.
 */
export async function executeDeletion(
  parts: DeletionParts,
  order: DeletionRecord,
  sequences: readonly Uint32Array[],
  heldBy?: DependentSessions,
): Promise<ExecutedDeletion> {
  if (heldBy !== undefined && order.pin === 'none' && order.receipt?.residualChunks === 0) {
    return { receipt: { ...order.receipt, heldBy }, unpinned: true, waits: true }
  }
  const { store, kv, now, sessions, quotas, saltOf } = parts
  const steps = new StepTimer(now)
  const warnings: string[] = []
  const { tenant, lineage } = order
  // This comes first: once deletion begins, nothing may store new chunks under the lineage.
  const retired = await steps.time('retire', () => store.retireLineage(tenant, lineage))
  if (retired) sessions.retired(tenant, lineage)
  const holders = await store.holdersOf(tenant, lineage)
  if (retired || (order.kind === 'session' && holders.sessions === 0)) parts.releasedKeys?.lineageIdle(tenant, lineage)
  if (order.spacesLost === true) {
    warnings.push('the session used more than 64 cache_salt values: chunks under the oldest are left to eviction')
  }

  const link = await openIfReachable(kv, warnings)
  const unpinned = await steps.time('unpin', () => unpin(parts, link, order, sequences, warnings))
  const keptFor = new Set<KeptFor>()
  if (order.shared !== undefined && !retired) keptFor.add('isolation')
  else if (holders.sessions > 0) keptFor.add('session')
  const before = order.receipt?.deletedChunks ?? 0
  const held = { windows: holders.windows, all: keptFor.size > 0, none: retired }
  const done = await steps.time('delete', () => deleteSpaces(parts, link, order, sequences, held, warnings))
  const windowsHold = order.kind === 'session' && holders.windows.some(({ receipt }) => (receipt?.chunks ?? 0) > 0)
  if (!held.all && (done.keptChunks > 0 || windowsHold)) keptFor.add('window')
  if (retired) await Promise.all(order.spaces.map((space) => quotas.remove(saltOf({ ...space, tenant, lineage }))))
  return {
    unpinned: unpinned !== undefined,
    waits: heldBy !== undefined || (order.kind === 'session' && keptFor.has('session') && order.spaces.length > 1),
    receipt: {
      deletedChunks: before + done.deletedChunks,
      residualChunks: done.residualChunks,
      keptChunks: done.keptChunks,
      keptFor: [...keptFor],
      ...(heldBy === undefined ? {} : { heldBy }),
      unpinned: unpinned === undefined ? false : (unpinned ?? order.receipt?.unpinned ?? null),
      lineageRetired: retired,
      ms: { ...steps.ms },
      warnings,
    },
  }
}

/** True: released. Null: there was none. Undefined: not released yet. */
async function unpin(
  parts: DeletionParts,
  link: KvLink | 'away' | undefined,
  order: DeletionRecord,
  sequences: readonly Uint32Array[],
  warnings: string[],
): Promise<boolean | null | undefined> {
  const { pin, keys, spaces, tenant, lineage, id } = order
  const [space] = spaces
  const [tokenIds] = sequences
  if (pin === 'none' || pin === 'released' || keys === undefined || space === undefined || tokenIds === undefined) {
    return null
  }
  try {
    if (link === undefined || link === 'away') return undefined
    await releasePin(parts, link, { ...space, tenant, lineage, id, pin, keys }, tokenIds)
    return true
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'STORE_UNAVAILABLE') throw error
    parts.kv.invalidate()
    warnings.push(`the pin is not released yet: ${error.message}`)
    return undefined
  }
}

type Deleted = Omit<EraseReceipt, 'warnings'>

interface Holders {
  readonly windows: readonly WindowRecord[]
  /** Sessions hold everything of the current epoch. Older KV can only be loaded through a window's pin. */
  readonly all: boolean
  /** The lineage is retired, so nothing holds its chunks. */
  readonly none: boolean
}

async function deleteSpaces(
  parts: DeletionParts,
  link: KvLink | 'away' | undefined,
  order: DeletionRecord,
  sequences: readonly Uint32Array[],
  holders: Holders,
  warnings: string[],
): Promise<Deleted> {
  const nothing = { deletedChunks: 0, residualChunks: 0, keptChunks: 0 }
  if (link === undefined || order.spaces.length === 0) return nothing
  const isHeld = ({ kvEpoch }: KvSpace) => holders.all && kvEpoch === parts.kvEpoch
  const gone = order.spaces.filter((space) => !isHeld(space))
  if (link === 'away') return { ...nothing, residualChunks: gone.length === 0 ? 0 : null }
  const handleOf = await plannerFor(parts, link, order)
  const heldSpaces = order.spaces.filter(isHeld)
  const chunksIn = ({ length }: Uint32Array) =>
    Math.max(0, ...heldSpaces.map((space) => chunksOf(link, handleOf(space, length), length)))
  const held = sequences.reduce((sum, ids) => sum + chunksIn(ids), 0)
  if (gone.length === 0) return { ...nothing, keptChunks: held }
  const go: KvSequence[] = []
  const keep: KvSequence[] = []
  const salts = new Set<string>()
  let unnamed = false
  for (const space of gone) {
    const salt = parts.saltOf({ tenant: order.tenant, lineage: order.lineage, ...space })
    salts.add(salt)
    for (const tokenIds of sequences) {
      const handle = handleOf(space, tokenIds.length)
      if (handle === undefined) unnamed = true
      else go.push({ tokenIds, salt, handle })
    }
    for (const { tokenIds, keys } of await windowsIn(parts, space, holders.windows)) {
      const handle = keys ?? handleOf(space, tokenIds.length)
      if (handle === undefined) {
        // A scan by salt would delete chunks that cannot be named, and so cannot be excluded.
        salts.delete(salt)
        unnamed = true
      } else keep.push({ tokenIds, salt, handle })
    }
  }
  try {
    const request = {
      sequences: go,
      keep,
      deadlineMs: PROBE_DEADLINE_MS,
      // A window's ids name all its chunks. A session also left chunks of edited or repeated turns. And once nothing holds the lineage,
      // everything under its salts may go.
      ...(order.kind === 'session' || holders.none ? { salts } : {}),
    }
    const { warnings: words, ...done } = await link.erase(request)
    warnings.push(...words)
    if (unnamed)
      warnings.push('the engine of these chunks is not attached to the KV layer now, so they cannot be named')
    return {
      ...done,
      keptChunks: done.keptChunks + held,
      residualChunks: unnamed ? null : done.residualChunks,
    }
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'INTERNAL') throw error
    parts.kv.invalidate()
    warnings.push(error.message)
    return { ...nothing, keptChunks: held, residualChunks: null }
  }
}

function chunksOf(link: KvLink, handle: KvHandle | undefined, tokens: number): number {
  return handle === undefined ? 0 : link.extentOf(handle, tokens).chunks
}

/** Returns the handle of a space: the one it was pinned with, or one for the engine that serves the model. Undefined if neither is known. */
async function plannerFor(
  { fleet }: DeletionParts,
  link: KvLink,
  order: DeletionRecord,
): Promise<(space: KvSpace, tokens: number) => KvHandle | undefined> {
  const names = new Map<string, string | undefined>()
  for (const { model } of order.spaces) {
    // The engine may be down or require the client's key. If only one is attached, it must be that one.
    const { models } = await fleet.pick({ model })
    const found = names.has(model) ? undefined : await models.find(model, undefined).catch(() => undefined)
    names.set(model, names.get(model) ?? found?.engineName ?? link.onlyEngine)
  }
  return ({ model }, tokens) => {
    if (order.keys !== undefined) return order.keys
    const engineName = names.get(model)
    return engineName === undefined ? undefined : link.plan(engineName, tokens)
  }
}

/** What the windows of a space hold. `keys`: the handle they were pinned with, whether or not that engine is attached now. */
async function windowsIn(
  { store }: DeletionParts,
  space: KvSpace,
  windows: readonly WindowRecord[],
): Promise<readonly { readonly tokenIds: Uint32Array; readonly keys: KvHandle | undefined }[]> {
  const held: { tokenIds: Uint32Array; keys: KvHandle | undefined }[] = []
  for (const window of windows) {
    if (!sameSpace(window, space)) continue
    const content = await store.getWindowContent(window.tenant, window.name, window.id)
    if (content === undefined || content.tokenIds.length === 0) continue
    held.push({ tokenIds: content.tokenIds, keys: window.keys })
  }
  return held
}
