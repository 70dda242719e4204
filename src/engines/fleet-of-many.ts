// Several engines. All work of an affinity key goes to one of them, until that one is down, draining or removed
// (docs/decisions/0024-a-fleet-of-engines.md).

import type { Now } from '../base/clock.ts'
import { CwmError } from '../base/errors.ts'
import { firstPlacement, leastLoaded, rankMembers, thatServe } from './choose-engine.ts'
import type { BreakerState, Engine } from './engine.ts'
import type { EngineSpec } from './engine-spec.ts'
import { engineIdOf } from './engine-url.ts'
import type { EngineFleet, EngineNeed, FleetMember, KeyOf, Placements } from './fleet.ts'
import { ChangeListeners, type FleetChange } from './fleet-change.ts'
import { FleetHealth } from './fleet-health.ts'
import { FleetModels } from './fleet-models.ts'
import { Member } from './member.ts'
import { PlacedEngine, type PlacedWork } from './placed-engine.ts'
import { PlacementCache } from './placement-cache.ts'
import { RemovedEngine } from './removed-engine.ts'
import { RetiredEngines } from './retired-engines.ts'

/** Opens an engine. `onBreaker` must be called after each change of its breaker. */
export type OpenEngine = (spec: EngineSpec, onBreaker: (state: BreakerState) => void) => Engine

export interface FleetOptions {
  readonly open: OpenEngine
  readonly keyOf: KeyOf
  readonly placements: Placements
  /** How long a change by another proxy may go unnoticed, milliseconds; the store's current value. 0: read each placement from the store. */
  readonly maxStalenessMs: () => number
  /** Time between two health checks of an engine, milliseconds, above 0. */
  readonly healthIntervalMs: number
  /** Time in which an engine that is new or back reaches its full weight, milliseconds; 0: at once. */
  readonly slowStartMs: number
  /** For the lists of models that health checks refresh; undefined for engines without keys. */
  readonly apiKey: () => string | undefined
  readonly now: Now
}

export class FleetOfMany implements EngineFleet {
  readonly #options: FleetOptions
  readonly #listeners = new ChangeListeners()
  readonly #cache: PlacementCache
  readonly #retired = new RetiredEngines()
  readonly #health: FleetHealth
  readonly #models: FleetModels
  #members: readonly Member[] = []
  /** Changes with each piece of work without a key, so that equal members take turns. */
  #turn = 0

  /** Does not connect yet. Throws `CONFIG` if a URL is not an http(s) one, or if there is no engine. */
  constructor(specs: readonly EngineSpec[], options: FleetOptions) {
    this.#options = options
    this.#cache = new PlacementCache(options.placements, options.maxStalenessMs, options.now)
    this.#models = new FleetModels(() => this.#members)
    this.#health = new FleetHealth({
      intervalMs: options.healthIntervalMs,
      apiKey: options.apiKey,
      members: () => this.#members,
      observe: (member) => this.#observe(member),
    })
    this.#take(specs, false)
  }

  /** Starts the health checks. `close` ends them. */
  start(): void {
    this.#health.start()
  }

  /** Checks all engines now. Never throws. */
  checkHealth(): Promise<void> {
    return this.#health.checkAll()
  }

  /**
   * Changes the engines. Those whose URL stays keep their state and their connections. One that is left out gets no more work, and is
   * closed once its last request has ended. Throws as the constructor; then nothing has changed.
   */
  update(specs: readonly EngineSpec[]): void {
    this.#take(specs, true)
  }

  /** The models of all engines, with the smallest limits. */
  get models(): FleetModels {
    return this.#models
  }

  pick(need: EngineNeed): Engine | Promise<Engine> {
    if (need.engineId !== undefined) return this.#only(need.engineId)
    const key = this.#options.keyOf(need)
    if (key === undefined) return this.#placed(this.#unplaced(need.model), undefined, need.model)
    const known = this.#cache.current(key)
    return known === undefined ? this.#read(key, need.model) : this.#settle(key, need.model, known)
  }

  members(): readonly FleetMember[] {
    return this.#members
  }

  drain(id: string): boolean {
    return this.#setDrained(id, true)
  }

  /** An engine that the settings drain keeps draining. */
  resume(id: string): boolean {
    return this.#setDrained(id, false)
  }

  onChange(listener: (change: FleetChange) => void): () => void {
    return this.#listeners.add(listener)
  }

  end(reason: CwmError): number {
    return this.#members.reduce((sum, { engine }) => sum + engine.end(reason), this.#retired.end(reason))
  }

  async close(): Promise<void> {
    this.#health.stop()
    await Promise.all([this.#retired.close(), ...this.#members.map(({ engine }) => engine.close())])
  }

  #take(specs: readonly EngineSpec[], isRunning: boolean): void {
    const byId = new Map(specs.map((spec) => [engineIdOf(spec.url), spec]))
    if (byId.size === 0) throw new CwmError('CONFIG', 'upstream lists no engine', { param: 'upstream' })
    const before = this.#members
    this.#members = [...byId].map(([id, spec]) => {
      const member = before.find((one) => one.id === id)
      return member === undefined ? this.#open(spec, isRunning) : this.#change(member, spec)
    })
    for (const member of before) {
      if (this.#members.includes(member)) this.#observe(member)
      else this.#retire(member)
    }
    for (const { id } of this.#members) {
      if (isRunning && !before.some((one) => one.id === id)) this.#listeners.notify({ kind: 'added', engine: id })
    }
  }

  #open(spec: EngineSpec, isNew: boolean): Member {
    const { now, slowStartMs } = this.#options
    return new Member(spec, this.#openEngine(spec), { now, slowStartMs, isNew })
  }

  #openEngine(spec: EngineSpec): Engine {
    const engine = this.#options.open(spec, (state) => {
      // Ignore engines that were replaced or removed: their last requests may still be in flight.
      const member = this.#members.find((one) => one.engine === engine)
      if (member === undefined) return
      if (state === 'closed') member.succeeded()
      this.#observe(member)
    })
    return engine
  }

  #change(member: Member, spec: EngineSpec): Member {
    const { engine } = member
    if (!member.needsNewEngine(spec)) {
      member.update(spec, engine)
      return member
    }
    member.update(spec, this.#openEngine(spec))
    this.#retired.add(engine)
    return member
  }

  #retire({ id, engine }: Member): void {
    this.#retired.add(engine)
    this.#listeners.notify({ kind: 'removed', engine: id })
  }

  #only(id: string): Engine {
    const member = this.#members.find((one) => one.id === id)
    if (member === undefined) return new RemovedEngine(id, this.#models)
    return new PlacedEngine(member, {
      ...this.#workOf(undefined, undefined),
      isUsable: () => true,
      next: () => undefined,
    })
  }

  async #read(key: string, model: string | undefined): Promise<Engine> {
    const known = await this.#cache.read(key)
    if (known !== undefined) return await this.#settle(key, model, known)
    const candidates = thatServe(this.#members, model).filter((member) => member.acceptsWork)
    const member = firstPlacement(key, candidates)
    if (member === undefined) return this.#placed(this.#firstOf(key, model), key, model)
    const placed = await this.#cache.place(key, member.id, undefined)
    return await this.#settle(key, model, placed)
  }

  /** The engine of a key that is placed. If that one cannot take the work, the key is moved to the next. */
  #settle(key: string, model: string | undefined, known: string): Engine | Promise<Engine> {
    const member = this.#members.find(({ id }) => id === known)
    if (member?.acceptsWork === true && member.mayServe(model)) return this.#placed(member, key, model)
    const first = this.#firstOf(key, model)
    // The placed engine does not serve this model: use the ranking, and keep the placement for the session's other model.
    if (member?.acceptsWork === true || first === member) return this.#placed(first, key, model)
    if (!first.acceptsWork && member !== undefined) return this.#placed(first, key, model)
    return this.#move(key, model, known, first)
  }

  async #move(key: string, model: string | undefined, from: string, to: Member): Promise<Engine> {
    const placed = await this.#cache.place(key, to.id, from)
    // Another proxy may have moved it elsewhere at the same time.
    const member = this.#members.find(({ id }) => id === placed)
    if (placed === to.id) this.#listeners.notify({ kind: 'moved', from, to: placed })
    return this.#placed(member?.acceptsWork === true ? member : to, key, model)
  }

  #placed(member: Member, key: string | undefined, model: string | undefined): Engine {
    return new PlacedEngine(member, this.#workOf(key, model))
  }

  #workOf(key: string | undefined, model: string | undefined): PlacedWork {
    return {
      models: this.#models,
      isUsable: (member) => member.state !== 'down' && this.#members.includes(member),
      next: (tried) => rankMembers(key ?? '', this.#members, model).find((member) => !tried.has(member)),
      failed: (member, error) => this.#failed(member, error),
      moved: (from, to) => this.#moved(key, from, to),
    }
  }

  #unplaced(model: string | undefined): Member {
    const candidates = thatServe(this.#members, model).filter((member) => member.acceptsWork)
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    return leastLoaded(candidates, this.#turn) ?? this.#firstOf('', model)
  }

  /** The first in the order of a key, whatever its state. */
  #firstOf(key: string, model: string | undefined): Member {
    const [first] = rankMembers(key, this.#members, model)
    if (first === undefined) throw new Error('a fleet has at least one engine')
    return first
  }

  #failed(member: Member, error: CwmError): void {
    if (!this.#members.includes(member)) return
    member.failed(error.code.toLowerCase())
    this.#observe(member)
    // A second failure takes the member down before further requests fail there.
    void this.#health.check(member)
  }

  #moved(key: string | undefined, from: Member, to: Member): void {
    this.#listeners.notify({ kind: 'failover', from: from.id, to: to.id })
    if (key === undefined) return
    void this.#cache.place(key, to.id, from.id).then((placed) => {
      if (placed === to.id) this.#listeners.notify({ kind: 'moved', from: from.id, to: to.id })
    })
  }

  #setDrained(id: string, isDrained: boolean): boolean {
    const member = this.#members.find((one) => one.id === id)
    if (member === undefined) return false
    member.setDrained(isDrained)
    this.#observe(member)
    return true
  }

  /** Notifies listeners if the state has changed since the last notice. */
  #observe(member: Member): void {
    const { state, reported: before, reason } = member
    if (state === before) return
    member.reported = state
    const change = { kind: 'state', engine: member.id, state, before } as const
    this.#listeners.notify(state === 'down' && reason !== undefined ? { ...change, reason } : change)
  }
}
