// What the engine says of its models: limit and engine name per served name. Asked once a minute at most.

import type { Now } from '../base/clock.ts'
import { isObject, type JsonValue } from '../base/json.ts'
import { callJson, rejectionOf, type UpstreamAnswer } from './json.ts'
import type { Upstream } from './upstream.ts'

export interface EngineModel {
  /** The name that clients send: a served name, or an adapter's. */
  readonly id: string
  /** The engine's own model path, which LMCache's keys hold; an adapter's is its parent's. */
  readonly engineName: string
  /** `max_model_len`, in tokens; undefined when the upstream does not say. */
  readonly limit: number | undefined
}

const FRESH_MS = 60_000
const RETRY_MS = 5_000
const DEADLINE_MS = 10_000
const MAX_MODELS = 10_000

export class EngineModels {
  readonly #upstream: Upstream
  readonly #now: Now
  #models: ReadonlyMap<string, EngineModel> = new Map()
  #askedAt = Number.NEGATIVE_INFINITY
  /** By API key: one key's refusal is no answer for another. Bounded by the calls under way. */
  readonly #asking = new Map<string, Promise<void>>()

  constructor(upstream: Upstream, now: Now) {
    this.#upstream = upstream
    this.#now = now
  }

  /** What is known now, without asking; starts to ask, in the background, when it is old. */
  peek(name: string, apiKey: string | undefined): EngineModel | undefined {
    if (this.#stale()) this.#refresh(apiKey).catch(() => {})
    return this.#models.get(name)
  }

  /** The model of that served name, asking if need be; undefined when the upstream does not list it. Throws as `callJson`. */
  async find(name: string, apiKey: string | undefined): Promise<EngineModel | undefined> {
    if (this.#stale() || !this.#models.has(name)) await this.#refresh(apiKey)
    return this.#models.get(name)
  }

  /** All models, asked anew. Throws `UPSTREAM_REJECTED` when the upstream refuses. */
  async list(apiKey: string | undefined): Promise<readonly EngineModel[]> {
    await this.#refresh(apiKey)
    return [...this.#models.values()]
  }

  /** The upstream's own answer to /v1/models, asked anew. Throws as `callJson`. */
  page(apiKey: string | undefined, signal: AbortSignal): Promise<UpstreamAnswer> {
    return callJson(this.#upstream, { method: 'GET', path: '/v1/models', apiKey, deadlineMs: DEADLINE_MS, signal })
  }

  #stale(): boolean {
    return this.#now() - this.#askedAt > FRESH_MS
  }

  #refresh(apiKey: string | undefined): Promise<void> {
    const key = apiKey ?? ''
    const asking = this.#asking.get(key) ?? this.#ask(apiKey).finally(() => this.#asking.delete(key))
    this.#asking.set(key, asking)
    return asking
  }

  async #ask(apiKey: string | undefined): Promise<void> {
    // Also a failure counts as asked, for a while: a dead upstream is not asked again by each request.
    this.#askedAt = this.#now() - FRESH_MS + RETRY_MS
    const answer = await callJson(this.#upstream, {
      method: 'GET',
      path: '/v1/models',
      apiKey,
      deadlineMs: DEADLINE_MS,
    })
    if (answer.status !== 200) throw rejectionOf('/v1/models', answer)
    this.#models = readModels(answer.body.data)
    this.#askedAt = this.#now()
  }
}

function readModels(data: JsonValue | undefined): Map<string, EngineModel> {
  const listed = Array.isArray(data) ? (data as readonly JsonValue[]).filter(isObject).slice(0, MAX_MODELS) : []
  const roots = new Map<string, string>()
  for (const { id, root } of listed) if (typeof id === 'string' && typeof root === 'string') roots.set(id, root)
  const models = new Map<string, EngineModel>()
  for (const { id, root, parent, max_model_len: limit } of listed) {
    if (typeof id !== 'string') continue
    // An adapter lists its own path as root and the base model as parent; LMCache's keys hold the base model's path.
    const base = typeof parent === 'string' ? (roots.get(parent) ?? parent) : root
    models.set(id, {
      id,
      engineName: typeof base === 'string' ? base : id,
      limit: typeof limit === 'number' ? limit : undefined,
    })
  }
  return models
}
