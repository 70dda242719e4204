// Adds the affinity headers to each request and call for a session, so that a router in front of the engines keeps the session on one of them.

import type { CwmError } from '../base/errors.ts'
import type { Prompt } from '../base/records.ts'
import type { Affinity } from './affinity.ts'
import type {
  Abort,
  AnswerSink,
  CallOptions,
  Engine,
  EngineHealth,
  EngineModels,
  OutgoingRequest,
  SpecialTokens,
  WarmCall,
  WarmResult,
} from './engine.ts'
import type { EngineFleet, EngineNeed, FleetMember, KeyOf } from './fleet.ts'
import type { FleetChange } from './fleet-change.ts'

export interface AffinityKeys {
  readonly keyOf: KeyOf
  /** The opaque id of a tenant, for routers that share an engine fairly among tenants. */
  readonly tenantOf: (tenant: string) => string
}

/** A fleet whose engines send the affinity headers of the work that they were picked for. */
export class AffineFleet implements EngineFleet {
  readonly #fleet: EngineFleet
  readonly #affinity: Affinity
  readonly #keys: AffinityKeys

  constructor(fleet: EngineFleet, affinity: Affinity, keys: AffinityKeys) {
    this.#fleet = fleet
    this.#affinity = affinity
    this.#keys = keys
  }

  pick(need: EngineNeed): Engine | Promise<Engine> {
    const picked = this.#fleet.pick(need)
    const headers = this.#headersOf(need)
    if (headers.length === 0) return picked
    if (picked instanceof Promise) return picked.then((engine) => new AffineEngine(engine, headers))
    return new AffineEngine(picked, headers)
  }

  members(): readonly FleetMember[] {
    return this.#fleet.members()
  }

  drain(id: string): boolean {
    return this.#fleet.drain(id)
  }

  resume(id: string): boolean {
    return this.#fleet.resume(id)
  }

  onChange(listener: (change: FleetChange) => void): () => void {
    return this.#fleet.onChange(listener)
  }

  end(reason: CwmError): number {
    return this.#fleet.end(reason)
  }

  close(): Promise<void> {
    return this.#fleet.close()
  }

  #headersOf(need: EngineNeed): string[] {
    const { header, tenantHeader } = this.#affinity
    const headers: string[] = []
    const key = this.#keys.keyOf(need)
    if (key !== undefined) headers.push(header, key)
    if (tenantHeader !== undefined && need.tenant !== undefined) {
      headers.push(tenantHeader, this.#keys.tenantOf(need.tenant))
    }
    return headers
  }
}

/** Adds headers to each request and call of an engine, and delegates everything else to it. */
class AffineEngine implements Engine {
  readonly #engine: Engine
  readonly #headers: readonly string[]

  /** `headers`: flat (name, value, name, value). */
  constructor(engine: Engine, headers: readonly string[]) {
    this.#engine = engine
    this.#headers = headers
  }

  get id(): string {
    return this.#engine.id
  }

  get origin(): string {
    return this.#engine.origin
  }

  get kvServer(): string | undefined {
    return this.#engine.kvServer
  }

  get models(): EngineModels {
    return this.#engine.models
  }

  get health(): EngineHealth {
    return this.#engine.health
  }

  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    return this.#engine.send({ ...request, headers: [...request.headers, ...this.#headers] }, sink)
  }

  tokenIds(prompt: Prompt, options: CallOptions): Promise<Uint32Array | undefined> {
    return this.#engine.tokenIds(prompt, this.#with(options))
  }

  countTokens(prompt: Prompt, options: CallOptions): Promise<number | undefined> {
    return this.#engine.countTokens(prompt, this.#with(options))
  }

  countText(model: string, text: string, options: CallOptions, special?: SpecialTokens): Promise<number | undefined> {
    return this.#engine.countText(model, text, this.#with(options), special)
  }

  cacheTokens(options: CallOptions): Promise<number | undefined> {
    return this.#engine.cacheTokens(this.#with(options))
  }

  warm(call: WarmCall, options: CallOptions): Promise<WarmResult> {
    return this.#engine.warm(call, this.#with(options))
  }

  end(reason: CwmError): number {
    return this.#engine.end(reason)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }

  #with(options: CallOptions): CallOptions {
    const { headers } = options
    return { ...options, headers: headers === undefined ? this.#headers : [...headers, ...this.#headers] }
  }
}
