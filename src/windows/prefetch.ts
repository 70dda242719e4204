// Brings a window nearer: its chunks from behind LMCache into its memory.

import { CwmError } from '../base/errors.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { BaseWindow } from './base-windows.ts'
import type { WindowParts } from './parts.ts'

const DEADLINE_MS = 60_000

/** Chunks in LMCache's memory, of the window's whole ones; null where nobody could tell in time. */
export interface Prefetched {
  readonly foundChunks: number | null
  readonly totalChunks: number
  readonly ms: number
}

/** Loads a window's chunks into LMCache's memory without using the engine. Throws `NOT_SUPPORTED` without LMCache, and what LMCache throws. */
export async function prefetchWindow(
  { lmcache, models, saltOf, now, kvEpoch }: WindowParts,
  base: BaseWindow,
  options: CallOptions,
): Promise<Prefetched> {
  const start = now()
  const link = await lmcache.open()
  const model = await models.find(base.record.model, options.apiKey)
  const keys = model === undefined ? undefined : link?.keysOf(model.engineName)
  if (link === undefined || keys === undefined) {
    throw new CwmError(
      'NOT_SUPPORTED',
      'no LMCache server with this engine attached: there is no L1 to bring the window to',
      {
        param: 'to',
      },
    )
  }
  const sequence = { tokenIds: base.tokenIds, salt: saltOf({ ...base.record, kvEpoch }), keys }
  const { foundKeys, totalKeys } = await link.client.prefetch(sequence, {
    deadlineMs: DEADLINE_MS,
    signal: options.signal,
  })
  return {
    // With several ranks, half of two chunks would count as one: no chunk is promised that may lack a rank.
    foundChunks: foundKeys === null ? null : wholeChunks(foundKeys, totalKeys ?? 0, keys.worldSize),
    totalChunks: Math.floor(base.tokenIds.length / keys.chunkSize),
    ms: now() - start,
  }
}

function wholeChunks(foundKeys: number, totalKeys: number, worldSize: number): number {
  return Math.max(0, totalKeys / worldSize - (totalKeys - foundKeys))
}
