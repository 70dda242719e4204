// Implements the engine port for vLLM.

import type { Now } from '../../base/clock.ts'
import { type CwmError, toCwmError } from '../../base/errors.ts'
import { isObject } from '../../base/json.ts'
import type { Prompt } from '../../base/records.ts'
import type {
  Abort,
  AnswerSink,
  BreakerState,
  CallOptions,
  Engine,
  EngineHealth,
  OutgoingRequest,
  Sighting,
  SpecialTokens,
  WarmCall,
  WarmResult,
} from '../engine.ts'
import type { GuardedUpstream } from '../guarded-upstream.ts'
import { callJson, rejectionOf } from '../json.ts'
import { VllmModels } from './models.ts'
import { VllmPrompts } from './prompts.ts'

export interface VllmOptions {
  /** The operator's context limits, by served name, in tokens. */
  readonly limits: Readonly<Record<string, number>>
  /** Deadline of a warm call, which may prefill a whole window, milliseconds. */
  readonly warmDeadlineMs: number
  readonly now: Now
}

export class VllmEngine implements Engine {
  readonly id: string
  readonly origin: string
  readonly models: VllmModels
  readonly health: EngineHealth
  readonly #upstream: GuardedUpstream
  readonly #prompts: VllmPrompts
  readonly #warmDeadlineMs: number

  constructor(upstream: GuardedUpstream, { limits, warmDeadlineMs, now }: VllmOptions) {
    this.id = upstream.url
    this.origin = upstream.origin
    this.models = new VllmModels(upstream, now, limits)
    this.health = new VllmHealth(upstream)
    this.#upstream = upstream
    this.#prompts = new VllmPrompts(upstream)
    this.#warmDeadlineMs = warmDeadlineMs
  }

  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    return this.#upstream.send(request, sink)
  }

  tokenIds(prompt: Prompt, options: CallOptions): Promise<Uint32Array | undefined> {
    return this.#prompts.tokenIds(prompt, options)
  }

  countTokens(prompt: Prompt, options: CallOptions): Promise<number | undefined> {
    return this.#prompts.countTokens(prompt, options)
  }

  countText(model: string, text: string, options: CallOptions, special?: SpecialTokens): Promise<number | undefined> {
    return this.#prompts.countText(model, text, options, special)
  }

  /** A completion of one token: docs/engine-behavior.md#warming-by-token-ids. */
  async warm({ model, tokenIds, salt }: WarmCall, { apiKey, signal }: CallOptions): Promise<WarmResult> {
    const path = '/v1/completions'
    const body = `{"model":${JSON.stringify(model)},"max_tokens":1,"temperature":0,"cache_salt":${JSON.stringify(salt)},"prompt":[${tokenIds.join(',')}]}`
    const call = { method: 'POST', path, body, apiKey, deadlineMs: this.#warmDeadlineMs } as const
    const answer = await callJson(this.#upstream, signal === undefined ? call : { ...call, signal })
    if (answer.status !== 200) throw rejectionOf(path, answer)
    const usage = answer.body.usage
    const details = isObject(usage) ? usage.prompt_tokens_details : undefined
    const cached = isObject(details) ? details.cached_tokens : undefined
    const promptTokens = isObject(usage) && typeof usage.prompt_tokens === 'number' ? usage.prompt_tokens : 0
    return { cachedTokens: typeof cached === 'number' ? cached : undefined, promptTokens }
  }

  end(reason: CwmError): number {
    return this.#upstream.end(reason)
  }

  close(): Promise<void> {
    return this.#upstream.close()
  }
}

class VllmHealth implements EngineHealth {
  readonly #upstream: GuardedUpstream

  constructor(upstream: GuardedUpstream) {
    this.#upstream = upstream
  }

  get breaker(): BreakerState {
    return this.#upstream.breaker
  }

  get lastSeen(): Sighting | undefined {
    return this.#upstream.lastSeen
  }

  async probe(deadlineMs: number): Promise<Sighting> {
    const call = { method: 'GET', path: '/v1/models', apiKey: undefined, deadlineMs } as const
    try {
      const { status } = await callJson(this.#upstream.health, call)
      // 401 counts as healthy: the engine is running and requires a key.
      return status < 500 ? { ok: true } : { ok: false, error: `status ${status}` }
    } catch (thrown) {
      return { ok: false, error: toCwmError(thrown).code.toLowerCase() }
    }
  }
}
