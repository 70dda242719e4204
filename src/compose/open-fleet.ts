// Opens the engines of the setting `upstream`: one engine for a single address, or a fleet that may change for a list or a DNS name.

import { isFleet } from '../config/upstreams.ts'
import { type EngineResolver, systemResolver } from '../engines/dns-engines.ts'
import { type EngineFleet, FleetOfOne, type KeyOf, type Placements } from '../engines/fleet.ts'
import { FleetOfMany } from '../engines/fleet-of-many.ts'
import { RENEW_MS } from '../engines/placement-cache.ts'
import type { Store } from '../store/store.ts'
import { EngineSource, firstEngines } from './engine-source.ts'
import { openEngine } from './open-engine.ts'
import type { Start } from './start.ts'

/** Long, because a warm call may prefill a whole window. */
const WARM_DEADLINE_MS = 1_800_000
/** How long a placement is kept without a turn, if sessions never expire. */
const PLACEMENT_TTL_MS = 30 * 24 * 3_600_000

export interface OpenedFleet {
  readonly fleet: EngineFleet
  /** Keeps the engines equal to the settings. Undefined for a single address, which only a restart changes. */
  readonly source: EngineSource | undefined
}

/** Does not connect yet, except for health checks of a fleet. Throws `CONFIG` if an engine's URL is not an http(s) one. */
export function openFleet(
  start: Start,
  store: Pick<Store, 'getPlacement' | 'place' | 'maxStalenessMs'>,
  keyOf: KeyOf,
  resolver: EngineResolver = systemResolver,
): OpenedFleet {
  const { live, closers, metrics } = start
  const opened = isFleet(live.current.upstream)
    ? openMany(start, placementsIn(start, store), () => store.maxStalenessMs, keyOf, resolver)
    : { fleet: new FleetOfOne(openEngine(live.current, start, WARM_DEADLINE_MS)), source: undefined }
  const { fleet } = opened
  closers.add(() => fleet.close())
  live.onReload(({ limits }) => {
    for (const { engine } of fleet.members()) engine.models.setLimits(limits)
  })
  metrics.engines.watch(() =>
    fleet.members().map(({ id, state, engine, inFlight }) => ({
      id,
      isUp: state !== 'down',
      isDraining: state === 'draining',
      breaker: engine.health.breaker,
      inFlight,
    })),
  )
  return opened
}

function openMany(
  start: Start,
  placements: Placements,
  maxStalenessMs: () => number,
  keyOf: KeyOf,
  resolver: EngineResolver,
): OpenedFleet {
  const { settings, live, metrics, log, now } = start
  const fleet = new FleetOfMany(firstEngines(live.current.upstream), {
    open: (spec, onBreaker) => openEngine(live.current, { metrics, log, now, onBreaker }, WARM_DEADLINE_MS, spec),
    keyOf,
    placements,
    maxStalenessMs,
    healthIntervalMs: settings.engine_health_interval_ms,
    slowStartMs: settings.engine_slow_start_ms,
    apiKey: () => live.current.upstream_api_key,
    now,
  })
  fleet.start()
  const source = new EngineSource({ live, resolver, update: (engines) => fleet.update(engines), metrics, log })
  return { fleet, source }
}

function placementsIn({ settings }: Start, store: Pick<Store, 'getPlacement' | 'place'>): Placements {
  const ttlMs = placementTtlMs(settings.session_ttl_ms)
  return {
    find: (key) => store.getPlacement(key),
    place: (key, engine, instead) => store.place(key, engine, instead, ttlMs),
  }
}

/** A key in use must not expire between two renewals: another proxy would then place it again, perhaps on another engine. */
export function placementTtlMs(sessionTtlMs: number): number {
  return sessionTtlMs === 0 ? PLACEMENT_TTL_MS : Math.max(sessionTtlMs, 2 * RENEW_MS)
}
