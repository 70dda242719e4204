// vLLM's list of models: limit and engine name per served name. Requested in the background when it is over a minute old.

import type { Now } from '../../base/clock.ts'
import { isObject, type JsonObject, type JsonValue } from '../../base/json.ts'
import { SingleFlight } from '../../base/single-flight.ts'
import type { EngineModel, EngineModels, JsonAnswer, ModelLimits } from '../engine.ts'
import { callJson, rejectionOf, type Sender } from '../json.ts'

const FRESH_MS = 60_000
const RETRY_MS = 5_000
const DEADLINE_MS = 10_000
const MAX_MODELS = 10_000

export class VllmModels implements EngineModels {
  readonly #upstream: Sender
  readonly #now: Now
  /** The operator's limits in tokens, by served name. */
  #limits: Readonly<Record<string, number>>
  /** The engine's last listing, for when the limits change. */
  #cards: JsonValue | undefined
  #models: ReadonlyMap<string, EngineModel> = new Map()
  #askedAt = Number.NEGATIVE_INFINITY
  /** By API key, because one key's rejection does not apply to another key. */
  readonly #asking = new SingleFlight<void>()

  constructor(upstream: Sender, now: Now, limits: Readonly<Record<string, number>> = {}) {
    this.#upstream = upstream
    this.#now = now
    this.#limits = limits
  }

  /** The model as far as known. Refreshes the list in the background if it is stale. */
  #peek(name: string, apiKey: string | undefined): EngineModel | undefined {
    if (this.#stale()) this.#refresh(apiKey).catch(() => {})
    return this.#models.get(name)
  }

  get isKnown(): boolean {
    return this.#models.size > 0
  }

  isServed(name: string): boolean {
    return this.#models.has(name)
  }

  limitsOf(name: string, apiKey: string | undefined): ModelLimits {
    const given = this.#given(name)
    return this.#peek(name, apiKey) ?? { limit: given, contextLimit: given }
  }

  async limitsToHold(name: string, apiKey: string | undefined): Promise<ModelLimits> {
    const known = this.limitsOf(name, apiKey)
    if (known.contextLimit !== undefined || this.#models.size > 0) return known
    await this.#refresh(apiKey).catch(() => {})
    return this.limitsOf(name, apiKey)
  }

  async find(name: string, apiKey: string | undefined): Promise<EngineModel | undefined> {
    if (this.#stale() || !this.#models.has(name)) await this.#refresh(apiKey)
    return this.#models.get(name)
  }

  async list(apiKey: string | undefined): Promise<readonly EngineModel[]> {
    await this.#refresh(apiKey)
    return [...this.#models.values()]
  }

  setLimits(limits: Readonly<Record<string, number>>): void {
    this.#limits = limits
    this.#models = readModels(this.#cards, limits)
  }

  page(apiKey: string | undefined, signal: AbortSignal): Promise<JsonAnswer> {
    return callJson(this.#upstream, { method: 'GET', path: '/v1/models', apiKey, deadlineMs: DEADLINE_MS, signal })
  }

  inputLimits(cards: readonly JsonValue[]): (card: JsonObject) => number | undefined {
    const models = readModels(cards, this.#limits)
    return ({ id, max_input_tokens: shown = null }) => {
      if (typeof id !== 'string') return undefined
      const limit = models.get(id)?.contextLimit
      if (limit === undefined || !Number.isSafeInteger(limit) || limit < 1) return undefined
      if (shown === null) return limit
      const given = this.#given(id)
      return typeof shown === 'number' && given !== undefined && given < shown ? limit : undefined
    }
  }

  #given(name: string): number | undefined {
    return Object.hasOwn(this.#limits, name) ? this.#limits[name] : undefined
  }

  #stale(): boolean {
    return this.#now() - this.#askedAt > FRESH_MS
  }

  #refresh(apiKey: string | undefined): Promise<void> {
    return this.#asking.run(apiKey ?? '', () => this.#ask(apiKey))
  }

  async #ask(apiKey: string | undefined): Promise<void> {
    // A failure delays the next attempt too. Otherwise each request would ask a dead upstream again.
    this.#askedAt = this.#now() - FRESH_MS + RETRY_MS
    const answer = await callJson(this.#upstream, {
      method: 'GET',
      path: '/v1/models',
      apiKey,
      deadlineMs: DEADLINE_MS,
    })
    if (answer.status !== 200) throw rejectionOf('/v1/models', answer)
    this.#cards = answer.body.data
    this.#models = readModels(this.#cards, this.#limits)
    this.#askedAt = this.#now()
  }
}

function readModels(data: JsonValue | undefined, limits: Readonly<Record<string, number>>): Map<string, EngineModel> {
  const listed = Array.isArray(data) ? (data as readonly JsonValue[]).filter(isObject).slice(0, MAX_MODELS) : []
  const byId = new Map(listed.map((card) => [card.id, card]))
  const models = new Map<string, EngineModel>()
  for (const card of listed) {
    const { id, parent } = card
    if (typeof id !== 'string') continue
    // An adapter's card lacks a limit, and its root is not in LMCache's keys: docs/engine-behavior.md#adapter-cards.
    const base = typeof parent === 'string' ? byId.get(parent) : card
    const name = base?.root ?? parent
    const reported = card.max_model_len ?? base?.max_model_len
    const given = Object.hasOwn(limits, id) ? limits[id] : undefined
    const limit = typeof reported === 'number' ? reported : given
    models.set(id, {
      id,
      engineName: typeof name === 'string' ? name : id,
      limit,
      contextLimit: limit === undefined || given === undefined ? limit : Math.min(limit, given),
    })
  }
  return models
}
