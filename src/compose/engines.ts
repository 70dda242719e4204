// Second step of the start: the engine, and the KV layer that it is attached to.

import type { Engine } from '../engines/engine.ts'
import { FleetOfOne, type KeyOf } from '../engines/fleet.ts'
import type { KvBackend } from '../kv/kv.ts'
import { LmcacheBackend } from '../kv/lmcache/backend.ts'
import { LmcacheConnector } from '../kv/lmcache/connector.ts'
import { noKv } from '../kv/none/none.ts'
import { SaltQuotas } from '../kv/quotas.ts'
import { keyOfNeed } from '../tenants/affinity-key.ts'
import { type AffineEngines, withAffinityHeaders } from './affinity.ts'
import { openEngine } from './open-engine.ts'
import type { Start } from './start.ts'
import type { Storage } from './storage.ts'

export interface Engines extends AffineEngines {
  /** The only one, for what is told of engines as a whole: health, readiness, discovery, shutdown. */
  readonly engine: Engine
  /** The affinity key of work. */
  readonly keyOf: KeyOf
  readonly lmcache: LmcacheConnector
  readonly kv: KvBackend
  readonly quotas: SaltQuotas
}

/** Long, because a warm call may prefill a whole window. */
const WARM_DEADLINE_MS = 1_800_000

/** Does not connect yet. Throws `CONFIG` if the engine's URL is not an http(s) one. */
export function openEngines(start: Start, { deriver }: Pick<Storage, 'deriver'>): Engines {
  const { settings, live, closers, log, now } = start
  const engine = openEngine(live.current, start, WARM_DEADLINE_MS)
  closers.add(() => engine.close())
  live.onReload(({ limits }) => engine.models.setLimits(limits))
  const fleet = new FleetOfOne(engine)
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
  const keyOf = keyOfNeed(deriver, settings.affinity_key)
  const affine = withAffinityHeaders(start, { deriver }, fleet, keyOf)
  return { engine, ...affine, keyOf, lmcache, kv, quotas: new SaltQuotas({ kv, log, now }) }
}
