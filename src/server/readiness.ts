// Readiness for `/cwm/readyz`. The check is cheap, because load balancers call it every few seconds, without a key.

import { SingleSlot } from '../base/single-flight.ts'
import type { EngineHealth } from '../engines/engine.ts'
import type { Store } from '../store/store.ts'
import type { ReadinessJson, SharedPart } from '../wire/health.ts'
import { bestBreaker, type WatchedEngine, type WatchedFleet } from './fleet-summary.ts'

/** Load balancers typically give up on a probe after a second. */
const DEADLINE_MS = 800

type UpstreamState = Pick<ReadinessJson['upstream'], 'ok' | 'state'>

export class ReadinessCheck {
  readonly #store: Pick<Store, 'ping'>
  readonly #fleet: WatchedFleet
  readonly #probes = new SingleSlot<unknown>()
  #draining = false

  constructor(store: Pick<Store, 'ping'>, fleet: WatchedFleet) {
    this.#store = store
    this.#fleet = fleet
  }

  /** Reports not ready from now on. */
  drain(): void {
    this.#draining = true
  }

  /** Never throws. The parts in `leftOut` are reported, but do not affect the status. One engine that is not down is enough. */
  async read(leftOut: readonly SharedPart[] = []): Promise<ReadinessJson> {
    const [stored] = await Promise.all([
      this.#store.ping().then(
        () => true,
        () => false,
      ),
      this.#probeEngines(),
    ])
    const members = this.#fleet.members()
    const reached = members.some(isReached)
    const ready = !this.#draining && (stored || leftOut.includes('store')) && (reached || leftOut.includes('upstream'))
    return {
      status: ready ? 'ready' : 'not_ready',
      draining: this.#draining,
      store: { ok: stored },
      upstream: { ...upstreamState(members), breaker: bestBreaker(members) },
    }
  }

  /** Probes engines whose breaker is not closed: cwm then gets no requests that would show a recovery. One probe of all at a time. */
  #probeEngines(): Promise<unknown> {
    const unsure = this.#fleet.members().filter(({ engine }) => engine.health.breaker !== 'closed')
    if (unsure.length === 0) return Promise.resolve()
    return this.#probes.run(() => Promise.all(unsure.map(({ engine }) => engine.health.probe(DEADLINE_MS))))
  }
}

/** A fleet's own checks show that an engine is down before its breaker does. */
function isReached({ state, engine }: WatchedEngine): boolean {
  const { breaker } = engine.health
  return breaker !== 'open' && (state !== 'down' || breaker === 'half_open')
}

/** The best of all engines. */
function upstreamState(members: readonly WatchedEngine[]): UpstreamState {
  const states = members.map(({ engine }) => stateOf(engine.health))
  const find = (wanted: UpstreamState['state']) => states.find(({ state }) => state === wanted)
  return find('answered') ?? find('unknown') ?? { ok: false, state: 'failed' }
}

function stateOf({ breaker, lastSeen }: EngineHealth): UpstreamState {
  if (breaker === 'open' || lastSeen?.ok === false) return { ok: false, state: 'failed' }
  return lastSeen === undefined ? { ok: null, state: 'unknown' } : { ok: true, state: 'answered' }
}
