// Gives the doctor direct access to LMCache's servers and settings, which the KV port hides.

import type { Now } from '../base/clock.ts'
import { silentLogger } from '../base/logger.ts'
import { type LmcacheConnection, LmcacheConnector } from '../kv/lmcache/connector.ts'

export interface LmcacheAddresses {
  readonly coordinatorUrl: string | undefined
  readonly lmcacheUrl: string | undefined
  /** Timeout of each HTTP call, milliseconds. */
  readonly timeoutMs: number
}

/** Returns `DoctorParts.openLmcache`. Does not connect yet. */
export function lmcacheOpener(addresses: LmcacheAddresses, now: Now): () => Promise<LmcacheConnection | undefined> {
  const lmcache = new LmcacheConnector({ ...addresses, now, log: silentLogger })
  return () => lmcache.open()
}
