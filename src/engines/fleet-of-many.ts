// Several engines. Work of one affinity key goes to one of them, and stays there until that one is down, draining or gone
// (docs/decisions/0024-a-fleet-of-engines.md).

import type { Now } from '../base/clock.ts'
import { CwmError } from '../base/errors.ts'
import { ableTo, firstPlacement, inOrder, leastLoaded } from './choose-engine.ts'
import type { BreakerState, Engine } from './engine.ts'
import type { EngineSpec } from './engine-spec.ts'
import { engineIdOf } from './engine-url.ts'
import type { EngineFleet, EngineNeed, FleetMember, KeyOf, Placements } from './fleet.ts'
import { ChangeListeners, type FleetChange } from './fleet-change.ts'
import { FleetHealth } from './fleet-health.ts'
import { FleetModels } from './fleet-models.ts'
import { GoneEngine } from './gone-engine.ts'
import { Member } from './member.ts'
import { PlacedEngine, type PlacedWork } from './placed-engine.ts'
import { PlacementCache } from './placement-cache.ts'
import { RetiredEngines } from './retired-engines.ts'

/** Opens an engine. `onBreaker` must be called after each change of its breaker. */
export type OpenEngine = (spec: EngineSpec, onBreaker: (state: BreakerState) => void) => Engine

export interface FleetOptions {
  readonly open: OpenEngine
  readonly keyOf: KeyOf
  readonly placements: Placements
  /** How long another proxy's placement may go unnoticed, milliseconds: the store's, now. 0: each placement is read. */
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
  /** Different for each piece of work without a key. */
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

  /** An engine that the settings drain stays so. */
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
      if (isRunning && !before.some((one) => one.id === id)) this.#listeners.tell({ kind: 'added', engine: id })
    }
  }

  #open(spec: EngineSpec, isNew: boolean): Member {
    const { now, slowStartMs } = this.#options
    return new Member(spec, this.#openEngine(spec), { now, slowStartMs, isNew })
  }

  #openEngine(spec: EngineSpec): Engine {
    const engine = this.#options.open(spec, (state) => {
      // Not that of an engine that was replaced or has left, whose last requests still end.
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
    this.#listeners.tell({ kind: 'removed', engine: id })
  }

  #only(id: string): Engine {
    const member = this.#members.find((one) => one.id === id)
    if (member === undefined) return new GoneEngine(id, this.#models)
    return new PlacedEngine(member, {
      ...this.#workOf(undefined, undefined),
      isUsable: () => true,
      next: () => undefined,
    })
  }

  async #read(key: string, model: string | undefined): Promise<Engine> {
    const known = await this.#cache.read(key)
    if (known !== undefined) return await this.#settle(key, model, known)
    const open = ableTo(this.#members, model).filter((member) => member.isOpen)
    const member = firstPlacement(key, open)
    if (member === undefined) return this.#placed(this.#firstOf(key, model), key, model)
    const placed = await this.#cache.place(key, member.id, undefined)
    return await this.#settle(key, model, placed)
  }

  /** The engine of a key that is placed. If that one cannot take the work, the key is moved to the next. */
  #settle(key: string, model: string | undefined, known: string): Engine | Promise<Engine> {
    const member = this.#members.find(({ id }) => id === known)
    if (member?.isOpen === true && member.mayServe(model)) return this.#placed(member, key, model)
    const first = this.#firstOf(key, model)
    // Another model of the same session: its engine is the same for each turn, and the placement of the first model stays.
    if (member?.isOpen === true || first === member) return this.#placed(first, key, model)
    if (!first.isOpen && member !== undefined) return this.#placed(first, key, model)
    return this.#move(key, model, known, first)
  }

  async #move(key: string, model: string | undefined, from: string, to: Member): Promise<Engine> {
    const placed = await this.#cache.place(key, to.id, from)
    // Another proxy may have moved it elsewhere at the same time.
    const member = this.#members.find(({ id }) => id === placed)
    if (placed === to.id) this.#listeners.tell({ kind: 'moved', from, to: placed })
    return this.#placed(member?.isOpen === true ? member : to, key, model)
  }

  #placed(member: Member, key: string | undefined, model: string | undefined): Engine {
    return new PlacedEngine(member, this.#workOf(key, model))
  }

  #workOf(key: string | undefined, model: string | undefined): PlacedWork {
    return {
      models: this.#models,
      isUsable: (member) => member.state !== 'down' && this.#members.includes(member),
      next: (tried) => inOrder(key ?? '', this.#members, model).find((member) => !tried.has(member)),
      failed: (member, error) => this.#failed(member, error),
      moved: (from, to) => this.#moved(key, from, to),
    }
  }

  #unplaced(model: string | undefined): Member {
    const open = ableTo(this.#members, model).filter((member) => member.isOpen)
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    return leastLoaded(open, this.#turn) ?? this.#firstOf('', model)
  }

  /** The first in the order of a key, whatever its state. */
  #firstOf(key: string, model: string | undefined): Member {
    const [first] = inOrder(key, this.#members, model)
    if (first === undefined) throw new Error('a fleet has at least one engine')
    return first
  }

  #failed(member: Member, error: CwmError): void {
    if (!this.#members.includes(member)) return
    member.failed(error.code.toLowerCase())
    this.#observe(member)
    // One more failure, and it is down: its next requests need not find out for themselves.
    void this.#health.check(member)
  }

  #moved(key: string | undefined, from: Member, to: Member): void {
    this.#listeners.tell({ kind: 'failover', from: from.id, to: to.id })
    if (key === undefined) return
    void this.#cache.place(key, to.id, from.id).then((placed) => {
      if (placed === to.id) this.#listeners.tell({ kind: 'moved', from: from.id, to: to.id })
    })
  }

  #setDrained(id: string, isDrained: boolean): boolean {
    const member = this.#members.find((one) => one.id === id)
    if (member === undefined) return false
    member.setDrained(isDrained)
    this.#observe(member)
    return true
  }

  /** Tells listeners of a state that they do not know. */
  #observe(member: Member): void {
    const { state, reported: before, reason } = member
    if (state === before) return
    member.reported = state
    const change = { kind: 'state', engine: member.id, state, before } as const
    this.#listeners.tell(state === 'down' && reason !== undefined ? { ...change, reason } : change)
  }
}
