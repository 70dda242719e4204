// The port to an inference engine: everything that cwm needs from one. Implementations are in their own folders. The dialects, in which
// clients talk to an engine, are not part of the port.

import type { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'

export interface Engine {
  /** Derived from its URL, so it is the same after a restart. */
  readonly id: string
  /** Scheme, host and port, in lower case: how the engine refers to itself in headers such as `Location`. */
  readonly origin: string
  /** The instance id of the LMCache server that it is attached to; undefined if the settings do not say. */
  readonly kvServer: string | undefined
  readonly models: EngineModels
  readonly health: EngineHealth
  /**
   * Sends one request of a client and passes on the answer byte by byte. Returns a function that aborts it in every phase; the client's
   * departure is the reason unless another is given. Sends a request again only if none of its bytes was written. While the breaker is
   * open, the sink gets `UPSTREAM_OPEN` at once.
   */
  send(request: OutgoingRequest, sink: AnswerSink): Abort
  /**
   * The exact ids of a prompt as the engine would prefill it, generation prompt included. Undefined if the engine cannot return the ids of
   * this prompt. Throws `UPSTREAM_REJECTED` if the engine rejects it.
   */
  tokenIds(prompt: Prompt, options: CallOptions): Promise<Uint32Array | undefined>
  /**
   * The number of tokens of a prompt, generation prompt included. It may be known when the ids are not. Undefined and errors as for
   * `tokenIds`.
   */
  countTokens(prompt: Prompt, options: CallOptions): Promise<number | undefined>
  /** The number of tokens of a bare text. Undefined and errors as for `tokenIds`. */
  countText(model: string, text: string, options: CallOptions, special?: SpecialTokens): Promise<number | undefined>
  /**
   * How many tokens of KV its own cache holds, over all requests. Read once a minute at most. Undefined if the engine does not show it; never
   * throws.
   */
  cacheTokens(options: CallOptions): Promise<number | undefined>
  /** Prefills ids under a salt. The engine computes and stores what its KV lacks. Throws what the call throws. */
  warm(call: WarmCall, options: CallOptions): Promise<WarmResult>
  /** Fails all requests in flight, and all later ones, with this error. Returns the number of requests that were in flight. */
  end(reason: CwmError): number
  /** Closes all connections. */
  close(): Promise<void>
}

/** Aborts a request. Does nothing once it has ended. */
export type Abort = (reason?: CwmError) => void

/** An outgoing request. `path` starts with `/` and is relative to the engine's base path. */
export interface OutgoingRequest {
  readonly method: string
  readonly path: string
  /** Flat: name, value, name, value. */
  readonly headers: readonly string[]
  readonly body: Buffer | undefined
}

/** Receives an answer. Either `onEnd` or `onError` is the last call, and each is called at most once. */
export interface AnswerSink {
  /** The request has a connection. From now on, `control.abort` ends it in any phase. */
  onStart(control: AnswerControl): void
  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void
  onData(bytes: Buffer): void
  onEnd(): void
  onError(error: CwmError): void
}

export interface AnswerControl {
  pause(): void
  resume(): void
  abort(): void
}

/** Credentials, more headers, and abort signal of one background call. */
export interface CallOptions {
  readonly apiKey: string | undefined
  /** Added to the call's own. Flat: name, value, name, value. */
  readonly headers?: readonly string[]
  readonly signal?: AbortSignal
}

/** Whether the count of a bare text includes the special tokens that the tokenizer adds by default. */
export type SpecialTokens = 'with marks' | 'text only'

export interface WarmCall {
  /** The served name. */
  readonly model: string
  readonly tokenIds: Uint32Array
  readonly salt: string
}

export interface WarmResult {
  /** The call's own `cached_tokens`; undefined if the engine does not report them (without `--enable-prompt-tokens-details`). */
  readonly cachedTokens: number | undefined
  readonly promptTokens: number
}

export interface EngineModel {
  /** The name that clients send: a served name or an adapter's name. */
  readonly id: string
  /** The engine's own model path, as in LMCache's keys. An adapter has its parent's. */
  readonly engineName: string
  /** The engine's own limit in tokens, or else the operator's; undefined if neither sets one. */
  readonly limit: number | undefined
  /** The limit that applies to sessions: the engine's, or the operator's if that is lower. */
  readonly contextLimit: number | undefined
}

/** The limits that apply to turns of a model, as far as known. */
export type ModelLimits = Pick<EngineModel, 'limit' | 'contextLimit'>

/** The models that an engine serves. Cached, so that turns do not wait for the list. */
export interface EngineModels {
  /** Whether any list has arrived. */
  readonly isKnown: boolean
  /** Whether the engine lists the model, as far as known. Sends no request. */
  isServed(name: string): boolean
  /** The known limits of a served name, without waiting. The operator's, for a model that the engine does not list. */
  limitsOf(name: string, apiKey: string | undefined): ModelLimits
  /**
   * The same, for a turn that must not be sent unmeasured. Requests the list if no limit is known and no list has arrived yet. Never
   * throws.
   */
  limitsToHold(name: string, apiKey: string | undefined): Promise<ModelLimits>
  /**
   * The model with that served name. Requests the list if necessary. Undefined if the engine does not list it. Throws what the call throws.
   */
  find(name: string, apiKey: string | undefined): Promise<EngineModel | undefined>
  /** Changes the operator's context limits, in tokens by served name. */
  setLimits(limits: Readonly<Record<string, number>>): void
  /** All models, freshly requested. Throws `UPSTREAM_REJECTED` if the engine rejects the request. */
  list(apiKey: string | undefined): Promise<readonly EngineModel[]>
  /** The engine's own answer to /v1/models, freshly requested. Throws what the call throws. */
  page(apiKey: string | undefined, signal: AbortSignal): Promise<JsonAnswer>
  /**
   * Given the models of an answer to /v1/models, returns a function for the `max_input_tokens` to show for each. That is the limit for
   * turns. Undefined if no limit is known, or to keep the engine's own `max_input_tokens`, which only a lower limit of the operator
   * replaces.
   */
  inputLimits(cards: readonly JsonValue[]): (card: JsonObject) => number | undefined
}

/** An answer to one of cwm's own calls. */
export interface JsonAnswer {
  readonly status: number
  readonly body: JsonObject
}

/** The latest evidence about an engine: it answered a request, with any status, or the connection failed. */
export type Sighting = { readonly ok: true } | { readonly ok: false; readonly error: string }

export type BreakerState = 'closed' | 'half_open' | 'open'

export interface EngineHealth {
  readonly breaker: BreakerState
  /** From turns, probes, and cwm's own calls; undefined until the first one ends. */
  readonly lastSeen: Sighting | undefined
  /** Requests in flight, cwm's own calls included, health checks not. */
  readonly inFlight: number
  /** Requests `/health`, even while the breaker is open, without any effect on models or KV. Never throws. */
  check(deadlineMs: number): Promise<Sighting>
  /** Checks whether the engine answers, even while the breaker is open. An answer closes the breaker. Never throws. */
  probe(deadlineMs: number): Promise<Sighting>
}
