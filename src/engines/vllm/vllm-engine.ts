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
import type { EngineSpec } from '../engine-spec.ts'
import type { GuardedUpstream } from '../guarded-upstream.ts'
import { callJson, type JsonCall, rejectionOf, type Sender } from '../json.ts'
import { withOwnKey } from '../own-key.ts'
import { VllmCache } from './cache.ts'
import { VllmModels } from './models.ts'
import { VllmPrompts } from './prompts.ts'

export interface VllmOptions extends Pick<EngineSpec, 'apiKey' | 'kvServer'> {
  /** The operator's context limits, by served name, in tokens. */
  readonly limits: Readonly<Record<string, number>>
  /** Deadline of a warm call, which may prefill a whole window, milliseconds. */
  readonly warmDeadlineMs: number
  readonly now: Now
}

export class VllmEngine implements Engine {
  readonly id: string
  readonly origin: string
  readonly kvServer: string | undefined
  readonly models: VllmModels
  readonly health: EngineHealth
  readonly #upstream: GuardedUpstream
  readonly #sender: Sender
  readonly #prompts: VllmPrompts
  readonly #cache: VllmCache
  readonly #warmDeadlineMs: number

  constructor(upstream: GuardedUpstream, { limits, warmDeadlineMs, apiKey, kvServer, now }: VllmOptions) {
    const sender = withOwnKey(upstream, apiKey)
    this.id = upstream.url
    this.origin = upstream.origin
    this.kvServer = kvServer
    this.models = new VllmModels(sender, now, limits)
    this.health = new VllmHealth(upstream, withOwnKey(upstream.health, apiKey))
    this.#upstream = upstream
    this.#sender = sender
    this.#prompts = new VllmPrompts(sender)
    this.#cache = new VllmCache(sender, now)
    this.#warmDeadlineMs = warmDeadlineMs
  }

  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    return this.#sender.send(request, sink)
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

  cacheTokens(options: CallOptions): Promise<number | undefined> {
    return this.#cache.tokens(options)
  }

  /** A completion of one token: docs/engine-behavior.md#warming-by-token-ids. */
  async warm({ model, tokenIds, salt }: WarmCall, options: CallOptions): Promise<WarmResult> {
    const path = '/v1/completions'
    const body = `{"model":${JSON.stringify(model)},"max_tokens":1,"temperature":0,"cache_salt":${JSON.stringify(salt)},"prompt":[${tokenIds.join(',')}]}`
    const call = { method: 'POST', path, body, deadlineMs: this.#warmDeadlineMs, ...options } as const
    const answer = await callJson(this.#sender, call)
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
  readonly #sender: Sender

  /** `sender`: sends although the breaker is open. */
  constructor(upstream: GuardedUpstream, sender: Sender) {
    this.#upstream = upstream
    this.#sender = sender
  }

  get breaker(): BreakerState {
    return this.#upstream.breaker
  }

  get lastSeen(): Sighting | undefined {
    return this.#upstream.lastSeen
  }

  get inFlight(): number {
    return this.#upstream.inFlight
  }

  /** vLLM answers 503 once its engine core has died. An engine without the path is judged by answering at all. */
  check(deadlineMs: number): Promise<Sighting> {
    // Its body is empty.
    return this.#ask({ path: '/health', statusOnly: true, deadlineMs })
  }

  /** 401 counts as healthy: the engine is running and requires a key. */
  probe(deadlineMs: number): Promise<Sighting> {
    return this.#ask({ path: '/v1/models', deadlineMs })
  }

  async #ask(call: Pick<JsonCall, 'path' | 'statusOnly' | 'deadlineMs'>): Promise<Sighting> {
    try {
      const { status } = await callJson(this.#sender, { method: 'GET', apiKey: undefined, ...call })
      return status < 500 ? { ok: true } : { ok: false, error: `status ${status}` }
    } catch (thrown) {
      return { ok: false, error: toCwmError(thrown).code.toLowerCase() }
    }
  }
}
