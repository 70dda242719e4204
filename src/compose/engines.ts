// Second step of the start: the engine, and the KV layer that it is attached to.

import type { KeyOf } from '../engines/fleet.ts'
import type { KvBackend } from '../kv/kv.ts'
import { LmcacheBackend } from '../kv/lmcache/backend.ts'
import { LmcacheConnector } from '../kv/lmcache/connector.ts'
import { noKv } from '../kv/none/none.ts'
import { SaltQuotas } from '../kv/quotas.ts'
import { keyOfNeed } from '../tenants/affinity-key.ts'
import { type AffineEngines, withAffinityHeaders } from './affinity.ts'
import { EngineDrains } from './engine-drains.ts'
import { type OpenedFleet, openFleet } from './open-fleet.ts'
import type { Start } from './start.ts'
import type { Storage } from './storage.ts'

export interface Engines extends AffineEngines {
  readonly source: OpenedFleet['source']
  readonly drains: EngineDrains
  /** The affinity key of work. */
  readonly keyOf: KeyOf
  readonly lmcache: LmcacheConnector
  readonly kv: KvBackend
  readonly quotas: SaltQuotas
}

/** Does not connect yet, except for health checks of a fleet. Throws `CONFIG` if the engine's URL is not an http(s) one. */
export function openEngines(start: Start, { deriver, store }: Pick<Storage, 'deriver' | 'store'>): Engines {
  const { settings, log, now } = start
  const keyOf = keyOfNeed(deriver, settings.affinity_key)
  const { fleet, source } = openFleet(start, store, keyOf)
  const drains = new EngineDrains(store, fleet)
  const lmcache = new LmcacheConnector({
    coordinatorUrl: settings.coordinator,
    lmcacheUrl: settings.lmcache,
    l2Shared: settings.l2_shared,
    expectedServers: () => fleet.members().flatMap(({ kvServer }) => kvServer ?? []),
    timeoutMs: settings.lmcache_timeout_ms,
    now,
    log,
  })
  const kv = lmcache.configured ? new LmcacheBackend(lmcache, now) : noKv
  const affine = withAffinityHeaders(start, { deriver }, fleet, keyOf)
  return { ...affine, source, drains, keyOf, lmcache, kv, quotas: new SaltQuotas({ kv, log, now }) }
}
