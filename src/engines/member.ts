// One engine of several, with the state of its health. fleet-health.ts sends the checks.

import type { Now } from '../base/clock.ts'
import type { Engine } from './engine.ts'
import type { EngineSpec } from './engine-spec.ts'
import type { FleetMember } from './fleet.ts'
import type { MemberState } from './fleet-change.ts'

/** Failures in a row after which an engine is down. A single one may be just a lost connection. */
const FAILURES = 2
/** The share of its weight with which an engine starts. */
const FIRST_SHARE = 0.1

export interface MemberOptions {
  readonly now: Now
  /** Time in which an engine that is new or back reaches its full weight, milliseconds; 0: at once. */
  readonly slowStartMs: number
  /** Whether it is new in a running fleet. Engines that are there at the start have their full weight at once. */
  readonly isNew: boolean
}

export class Member implements FleetMember {
  readonly id: string
  readonly #options: MemberOptions
  #spec: EngineSpec
  #engine: Engine
  #failures = 0
  #isDown = false
  #isDrained = false
  /** When its slow start began, milliseconds since the epoch; undefined once it has its full weight. */
  #startedAt: number | undefined
  /** Why it is down. */
  reason: string | undefined
  /** The state that listeners were notified of last. */
  reported: MemberState

  constructor(spec: EngineSpec, engine: Engine, options: MemberOptions) {
    this.id = engine.id
    this.#spec = spec
    this.#engine = engine
    this.#options = options
    if (options.isNew) this.#startedAt = options.now()
    this.reported = this.state
  }

  get url(): string {
    return this.#spec.url
  }

  get weight(): number {
    return this.#spec.weight
  }

  get kvServer(): string | undefined {
    return this.#spec.kvServer
  }

  get engine(): Engine {
    return this.#engine
  }

  get inFlight(): number {
    return this.#engine.health.inFlight
  }

  get state(): MemberState {
    if (this.#isDown || this.#engine.health.breaker !== 'closed') return 'down'
    if (this.#isDrained || this.#spec.drain === true) return 'draining'
    return this.#share() < 1 ? 'starting' : 'up'
  }

  /** Whether it accepts new work. */
  get acceptsWork(): boolean {
    const { state } = this
    return state === 'up' || state === 'starting'
  }

  /** Its weight for new keys, which is lower while it starts. */
  get currentWeight(): number {
    return this.weight * this.#share()
  }

  /** Whether it lists the model, or has not sent a list yet. */
  mayServe(model: string | undefined): boolean {
    if (model === undefined || model === '') return true
    const { models } = this.#engine
    return !models.isKnown || models.isServed(model)
  }

  /** Whether these settings require new connections. */
  needsNewEngine({ apiKey, kvServer }: EngineSpec): boolean {
    return apiKey !== this.#spec.apiKey || kvServer !== this.#spec.kvServer
  }

  /** Applies the settings of a reload. `engine`: a new one if the key or the LMCache server changed. */
  update(spec: EngineSpec, engine: Engine): void {
    this.#spec = spec
    this.#engine = engine
  }

  setDrained(isDrained: boolean): void {
    this.#isDrained = isDrained
  }

  /** Call when the engine has answered a check. */
  succeeded(): void {
    this.#failures = 0
    // The breaker may have opened without a failed check.
    if (this.#isDown || this.reported === 'down') this.#startedAt = this.#options.now()
    this.#isDown = false
    this.reason = undefined
  }

  /** Call when a check has failed, or when no connection could be opened. */
  failed(reason: string): void {
    this.#failures++
    this.reason = reason
    if (this.#failures >= FAILURES) this.#isDown = true
  }

  #share(): number {
    if (this.#startedAt === undefined) return 1
    const { now, slowStartMs } = this.#options
    const share = slowStartMs === 0 ? 1 : FIRST_SHARE + ((1 - FIRST_SHARE) * (now() - this.#startedAt)) / slowStartMs
    if (share >= 1) this.#startedAt = undefined
    return Math.min(1, share)
  }
}
