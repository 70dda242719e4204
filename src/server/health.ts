// Health of engine, LMCache, and store, for `/cwm/v1/health`. Chats continue without LMCache or store, so their failure is degraded, not
// down. The endpoint needs no key, so probes are limited to one at a time and one per second.

import type { Now } from '../base/clock.ts'
import { version } from '../base/version.ts'
import type { Engine, EngineHealth, Sighting } from '../engines/engine.ts'
import type { KvBackend, KvHealth } from '../kv/kv.ts'
import type { Store } from '../store/store.ts'
import type { HealthJson } from '../wire/health.ts'

const HEALTH_DEADLINE_MS = 3_000
/** From the start of one probe to the start of the next. */
const PROBE_INTERVAL_MS = 1_000

export interface HealthParts {
  readonly engine: Pick<Engine, 'health'>
  readonly lmcache: Pick<KvBackend, 'health'>
  readonly store: Pick<Store, 'kind' | 'ping'>
  readonly now: Now
}

interface Probe {
  readonly engine: Sighting
  readonly lmcache: KvHealth
  readonly stored: boolean
}

export class HealthCheck {
  readonly #parts: HealthParts
  #probe: Promise<Probe> | undefined
  #isRunning = false
  #startedAt = 0

  constructor(parts: HealthParts) {
    this.#parts = parts
  }

  /** Combines the last probe (repeated if older than a second) with what turns and the breaker have shown since. Never throws. */
  async read(): Promise<HealthJson> {
    const { engine, lmcache, stored } = await this.#lastProbe()
    const { store } = this.#parts
    const { health } = this.#parts.engine
    const { breaker } = health
    const reached = engineNow(engine, health)
    const status = reached.ok && lmcache.ok !== false && stored ? 'ok' : 'degraded'
    return { status, version, store: { kind: store.kind, ok: stored }, upstream: { ...reached, breaker }, lmcache }
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
    const { lmcache, store } = this.#parts
    const [engine, kv, stored] = await Promise.all([
      this.#parts.engine.health.probe(HEALTH_DEADLINE_MS),
      lmcache.health(),
      store.ping().then(
        () => true,
        () => false,
      ),
    ])
    return { engine, lmcache: kv, stored }
  }
}

/** An answered probe updates `lastSeen` like any request, so a failure there is newer than the probe. */
function engineNow(probed: Sighting, { breaker, lastSeen }: EngineHealth): Sighting {
  if (!probed.ok) return probed
  if (lastSeen !== undefined && !lastSeen.ok) return { ok: false, error: lastSeen.error }
  return breaker === 'open' ? { ok: false, error: 'upstream_open' } : probed
}
