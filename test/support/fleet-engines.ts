// Engines for tests of a fleet: each answers, refuses or breaks as the test says, and records what it got.

import { CwmError } from '../../src/base/errors.ts'
import type {
  AnswerSink,
  BreakerState,
  Engine,
  EngineModel,
  OutgoingRequest,
  Sighting,
} from '../../src/engines/engine.ts'
import type { EngineSpec } from '../../src/engines/engine-spec.ts'
import type { Placements } from '../../src/engines/fleet.ts'
import { FleetOfMany, type FleetOptions } from '../../src/engines/fleet-of-many.ts'
import { anEngine } from './engines.ts'

/** `hangs`: it takes requests and does not answer. `breaks`: its connection breaks after the request was written. */
export type Behavior = 'answers' | 'refuses' | 'hangs' | 'breaks' | 'is guarded'

export interface FakeEngine {
  readonly engine: Engine
  readonly sent: OutgoingRequest[]
  behavior: Behavior
  breaker: BreakerState
  inFlight: number
  /** Served names with limits; undefined while no list has arrived. */
  models: Readonly<Record<string, number>> | undefined
  isClosed: boolean
  /** Calls of cwm's own, by name. */
  readonly calls: string[]
}

const refused = () => new CwmError('UPSTREAM_REFUSED', 'nobody there')
const failures: Readonly<Record<'refuses' | 'is guarded', () => CwmError>> = {
  refuses: refused,
  'is guarded': () => new CwmError('UPSTREAM_OPEN', 'its breaker is open'),
}

export function aFakeEngine(id: string): FakeEngine {
  const fake: FakeEngine = {
    engine: anEngine({}),
    sent: [],
    behavior: 'answers',
    breaker: 'closed',
    inFlight: 0,
    models: undefined,
    isClosed: false,
    calls: [],
  }
  const call = async <T>(name: string, result: T): Promise<T> => {
    fake.calls.push(name)
    if (fake.behavior === 'refuses' || fake.behavior === 'is guarded') throw failures[fake.behavior]()
    if (fake.behavior === 'breaks') throw new CwmError('UPSTREAM_BROKEN', 'broke')
    return result
  }
  const check = async (): Promise<Sighting> =>
    fake.behavior === 'refuses' ? { ok: false, error: 'upstream_refused' } : { ok: true }
  const engine: Engine = {
    id,
    origin: new URL(id).origin,
    kvServer: undefined,
    models: modelsOf(fake),
    health: {
      get breaker() {
        return fake.breaker
      },
      get inFlight() {
        return fake.inFlight
      },
      lastSeen: undefined,
      check,
      probe: check,
    },
    send: (request, sink) => sendTo(fake, request, sink),
    tokenIds: () => call('tokenIds', Uint32Array.of(1)),
    countTokens: () => call('countTokens', 1),
    cacheTokens: async () => undefined,
    countText: () => call('countText', 1),
    warm: () => call('warm', { cachedTokens: 0, promptTokens: 1 }),
    end: () => fake.inFlight,
    close: async () => {
      fake.isClosed = true
    },
  }
  return Object.assign(fake, { engine })
}

function modelsOf(fake: FakeEngine): Engine['models'] {
  const modelOf = (name: string): EngineModel | undefined => {
    const limit = fake.models?.[name]
    return limit === undefined ? undefined : { id: name, engineName: name, limit, contextLimit: limit }
  }
  const unknown = { limit: undefined, contextLimit: undefined }
  const all = () => Object.keys(fake.models ?? {}).flatMap((name) => modelOf(name) ?? [])
  const reachable = () => {
    if (fake.behavior === 'refuses') throw refused()
  }
  return {
    get isKnown() {
      return fake.models !== undefined
    },
    isServed: (name) => modelOf(name) !== undefined,
    limitsOf: (name) => modelOf(name) ?? unknown,
    limitsToHold: async (name) => modelOf(name) ?? unknown,
    find: async (name) => {
      reachable()
      return modelOf(name)
    },
    setLimits: () => {},
    list: async () => {
      reachable()
      return all()
    },
    page: async () => {
      reachable()
      return {
        status: 200,
        body: { object: 'list', data: all().map(({ id, limit }) => ({ id, max_model_len: limit ?? null })) },
      }
    },
    inputLimits: () => () => undefined,
  }
}

function sendTo(fake: FakeEngine, request: OutgoingRequest, sink: AnswerSink): (reason?: CwmError) => void {
  fake.sent.push(request)
  if (fake.behavior === 'refuses' || fake.behavior === 'is guarded') {
    sink.onError(failures[fake.behavior]())
    return () => {}
  }
  sink.onStart({ pause() {}, resume() {}, abort() {} })
  if (fake.behavior === 'breaks') {
    const cause = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' })
    sink.onError(new CwmError('UPSTREAM_BROKEN', 'broke', { cause }))
  } else if (fake.behavior === 'answers') {
    sink.onHeaders(200, [], 'OK')
    sink.onEnd()
  }
  return (reason) => sink.onError(reason ?? new CwmError('CLIENT_GONE', 'left'))
}

/** Placements in memory. `isAway`: the store does not answer. */
export class FakePlacements implements Placements {
  readonly placed = new Map<string, string>()
  isAway = false
  writes = 0

  async find(key: string): Promise<string | undefined> {
    this.#answer()
    return this.placed.get(key)
  }

  async place(key: string, engine: string, instead: string | undefined): Promise<string> {
    this.#answer()
    this.writes++
    const there = this.placed.get(key)
    if (there !== undefined && there !== instead) return there
    this.placed.set(key, engine)
    return engine
  }

  #answer(): void {
    if (this.isAway) throw new CwmError('STORE_UNAVAILABLE', 'the store is away')
  }
}

export interface FleetSetup {
  readonly specs?: readonly EngineSpec[]
  readonly placements?: FakePlacements
  readonly options?: Partial<FleetOptions>
}

export const urlOf = (name: string): string => `http://engine-${name}:8000`
export const specOf = (name: string, more: Partial<EngineSpec> = {}): EngineSpec => ({
  url: urlOf(name),
  weight: 1,
  ...more,
})

/** A fleet of the fake engines a, b and c, unless other specs are given. The lineage of a need is its key. */
export function aFleetOfMany({
  specs = ['a', 'b', 'c'].map((name) => specOf(name)),
  placements,
  options,
}: FleetSetup = {}) {
  const fakes = new Map<string, FakeEngine>()
  const breakers = new Map<string, (state: BreakerState) => void>()
  const clock = { now: 1_000_000 }
  const store = placements ?? new FakePlacements()
  const fleet = new FleetOfMany(specs, {
    open: ({ url }, onBreaker) => {
      const fake = aFakeEngine(url)
      fakes.set(url, fake)
      breakers.set(url, onBreaker)
      return fake.engine
    },
    keyOf: ({ lineage }) => lineage,
    placements: store,
    maxStalenessMs: () => 1_000,
    healthIntervalMs: 5_000,
    slowStartMs: 30_000,
    apiKey: () => undefined,
    now: () => clock.now,
    ...options,
  })
  const fake = (name: string): FakeEngine => {
    const found = fakes.get(name.startsWith('http') ? name : urlOf(name))
    if (found === undefined) throw new Error(`no engine ${name}`)
    return found
  }
  /** How the engine reports its breaker. */
  const breakerOf = (name: string) => breakers.get(name.startsWith('http') ? name : urlOf(name)) ?? (() => {})
  const setBreaker = (name: string, state: BreakerState) => {
    fake(name).breaker = state
    breakerOf(name)(state)
  }
  return { fleet, fake, clock, placements: store, breakerOf, setBreaker }
}
