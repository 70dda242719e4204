// Health of engines, LMCache, and store, for `/cwm/v1/health`. Chats continue without LMCache or store, and without one engine of several,
// so their failure is degraded, not down. The endpoint needs no key, so probes are limited to one at a time and one per second.

import type { Now } from '../base/clock.ts'
import { version } from '../base/version.ts'
import type { EngineHealth, Sighting } from '../engines/engine.ts'
import type { KvBackend, KvHealth } from '../kv/kv.ts'
import type { Store } from '../store/store.ts'
import type { HealthJson } from '../wire/health.ts'
import { bestBreaker, type WatchedEngine, type WatchedFleet } from './fleet-summary.ts'

const HEALTH_DEADLINE_MS = 3_000
/** From the start of one probe to the start of the next. */
const PROBE_INTERVAL_MS = 1_000

export interface HealthParts {
  readonly fleet: WatchedFleet
  readonly lmcache: Pick<KvBackend, 'health'>
  readonly store: Pick<Store, 'kind' | 'ping'>
  readonly now: Now
}

interface Probe {
  readonly engines: ReadonlyMap<WatchedEngine['engine'], Sighting>
  readonly lmcache: KvHealth
  readonly stored: boolean
}

type EngineHealthJson = HealthJson['engines'][number]

export class HealthCheck {
  readonly #parts: HealthParts
  #probe: Promise<Probe> | undefined
  #isRunning = false
  #startedAt = 0

  constructor(parts: HealthParts) {
    this.#parts = parts
  }

  /** Combines the last probe (repeated if older than a second) with what turns and the breakers have shown since. Never throws. */
  async read(): Promise<HealthJson> {
    const { engines: probed, lmcache, stored } = await this.#lastProbe()
    const { store, fleet } = this.#parts
    const members = fleet.members()
    const engines = members.map((member) => healthOf(member, probed.get(member.engine)))
    const allUp = engines.every(({ ok, state }) => ok && state !== 'down')
    const status = allUp && lmcache.ok !== false && stored ? 'ok' : 'degraded'
    const upstream = { ...summaryOf(engines), breaker: bestBreaker(members) }
    return { status, version, store: { kind: store.kind, ok: stored }, upstream, engines, lmcache }
  }

  #lastProbe(): Promise<Probe> {
    const now = this.#parts.now()
    if (this.#probe !== undefined && (this.#isRunning || now - this.#startedAt < PROBE_INTERVAL_MS)) return this.#probe
    this.#startedAt = now
    this.#isRunning = true
    this.#probe = this.#runProbe().finally(() => {
      this.#isRunning = false
    })
    return this.#probe
  }

  async #runProbe(): Promise<Probe> {
    const { fleet, lmcache, store } = this.#parts
    const probes = fleet
      .members()
      .map(async ({ engine }) => [engine, await engine.health.probe(HEALTH_DEADLINE_MS)] as const)
    const [engines, kv, stored] = await Promise.all([
      Promise.all(probes),
      lmcache.health(),
      store.ping().then(
        () => true,
        () => false,
      ),
    ])
    return { engines: new Map(engines), lmcache: kv, stored }
  }
}

/** `probed`: undefined for an engine that was added since the last probe. */
function healthOf(
  { id, state, engine, inFlight, kvServer }: WatchedEngine,
  probed: Sighting = { ok: true },
): EngineHealthJson {
  const { health } = engine
  const seen = engineNow(probed, health)
  return { id, state, ...seen, breaker: health.breaker, in_flight: inFlight, lmcache_instance: kvServer ?? null }
}

/** An answered probe updates `lastSeen` like any request, so a failure there is newer than the probe. */
function engineNow(probed: Sighting, { breaker, lastSeen }: EngineHealth): Sighting {
  if (!probed.ok) return probed
  if (lastSeen !== undefined && !lastSeen.ok) return { ok: false, error: lastSeen.error }
  return breaker === 'open' ? { ok: false, error: 'upstream_open' } : probed
}

/** One engine that answers is enough for chats. */
function summaryOf(engines: readonly EngineHealthJson[]): Pick<EngineHealthJson, 'ok' | 'error'> {
  const error = engines.find(({ ok }) => !ok)?.error
  if (error === undefined || engines.some(({ ok }) => ok)) return { ok: true }
  return { ok: false, error }
}
