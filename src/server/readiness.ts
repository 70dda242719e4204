// Readiness for `/cwm/readyz`. The check is cheap, because load balancers call it every few seconds, without a key.

import { SingleSlot } from '../base/single-flight.ts'
import type { Engine, EngineHealth } from '../engines/engine.ts'
import type { Store } from '../store/store.ts'
import type { ReadinessJson, SharedPart } from '../wire/health.ts'

/** Load balancers typically give up on a probe after a second. */
const DEADLINE_MS = 800

export class ReadinessCheck {
  readonly #store: Pick<Store, 'ping'>
  readonly #engine: EngineHealth
  readonly #probes = new SingleSlot<unknown>()
  #draining = false

  constructor(store: Pick<Store, 'ping'>, { health }: Pick<Engine, 'health'>) {
    this.#store = store
    this.#engine = health
  }

  /** Reports not ready from now on. */
  drain(): void {
    this.#draining = true
  }

  /** Never throws. The parts in `leftOut` are reported, but do not affect the status. */
  async read(leftOut: readonly SharedPart[] = []): Promise<ReadinessJson> {
    const [stored] = await Promise.all([
      this.#store.ping().then(
        () => true,
        () => false,
      ),
      this.#probeEngine(),
    ])
    const { breaker } = this.#engine
    const reached = breaker !== 'open'
    const ready = !this.#draining && (stored || leftOut.includes('store')) && (reached || leftOut.includes('upstream'))
    return {
      status: ready ? 'ready' : 'not_ready',
      draining: this.#draining,
      store: { ok: stored },
      upstream: { ...upstreamState(this.#engine), breaker },
    }
  }

  /** Probes the upstream while the breaker is not closed: cwm then gets no requests that would show a recovery. One probe at a time. */
  #probeEngine(): Promise<unknown> {
    if (this.#engine.breaker === 'closed') return Promise.resolve()
    return this.#probes.run(() => this.#engine.probe(DEADLINE_MS))
  }
}

function upstreamState({ breaker, lastSeen }: EngineHealth) {
  if (breaker === 'open' || lastSeen?.ok === false) return { ok: false, state: 'failed' } as const
  return lastSeen === undefined ? ({ ok: null, state: 'unknown' } as const) : ({ ok: true, state: 'answered' } as const)
}
