// Loads a window's chunks from a KV layer's slower tiers into its memory.

import { CwmError } from '../base/errors.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { PrefetchReceipt } from '../kv/kv.ts'
import type { BaseWindow } from './base-windows.ts'
import type { WindowParts } from './parts.ts'

const DEADLINE_MS = 60_000

/** The window's whole chunks that are now in the KV layer's memory. */
export interface Prefetched extends PrefetchReceipt {
  readonly ms: number
}

/** For whom a window is prefetched. */
export interface ReturningSession {
  readonly sessionId?: string | undefined
  /** Of its base window, which may be deleted. */
  readonly windowId?: string | undefined
}

/** Loads a window's chunks into the KV layer's memory without using the engine. Throws `NOT_SUPPORTED` without a KV layer, and what it throws. */
export async function prefetchWindow(
  { kv, fleet, saltOf, now, kvEpoch }: WindowParts,
  base: BaseWindow,
  { sessionId, ...options }: CallOptions & Pick<ReturningSession, 'sessionId'>,
): Promise<Prefetched> {
  const start = now()
  const link = await kv.open()
  const engine = await fleet.pick(sessionId === undefined ? base.record : { ...base.record, sessionId })
  const model = await engine.models.find(base.record.model, options.apiKey)
  const { record, tokenIds } = base
  const handle = model === undefined ? undefined : link?.plan(model.engineName, tokenIds.length)
  if (link === undefined || handle === undefined) {
    throw new CwmError(
      'NOT_SUPPORTED',
      'this engine is not attached to a KV layer, so there is no memory tier to load the window into',
      {
        param: 'to',
      },
    )
  }
  const sequence = { tokenIds, salt: saltOf({ ...record, kvEpoch }), handle }
  const receipt = await link.prefetch(sequence, {
    deadlineMs: DEADLINE_MS,
    server: engine.kvServer,
    signal: options.signal,
  })
  return { ...receipt, ms: now() - start }
}
