// The port to an inference engine: what cwm asks of one. Implementations are in folders of their own; the dialects are what an engine speaks
// to clients, and are not part of it.

import type { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'

export interface Engine {
  /** Stable over restarts: made from its URL. */
  readonly id: string
  /** Scheme, host and port, in lower case: how the engine refers to itself in headers such as `Location`. */
  readonly origin: string
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
  /** The number of tokens of a prompt, generation prompt included. It may be known where the ids are not. Undefined and throws as `tokenIds`. */
  countTokens(prompt: Prompt, options: CallOptions): Promise<number | undefined>
  /** The number of tokens of a bare text. Undefined and throws as `tokenIds`. */
  countText(model: string, text: string, options: CallOptions, special?: SpecialTokens): Promise<number | undefined>
  /** Prefills ids under a salt. The engine computes and stores what its KV lacks. Throws what the call throws. */
  warm(call: WarmCall, options: CallOptions): Promise<WarmResult>
  /** Fails what is in flight with this error, and everything sent later. Returns the number of requests that were in flight. */
  end(reason: CwmError): number
  /** Closes all connections. */
  close(): Promise<void>
}

/** Ends a request. Does nothing once it is over. */
export type Abort = (reason?: CwmError) => void

/** A request that goes out. `path` begins with `/` and is under the engine's base path. */
export interface OutgoingRequest {
  readonly method: string
  readonly path: string
  /** Flat: name, value, name, value. */
  readonly headers: readonly string[]
  readonly body: Buffer | undefined
}

/** Where an answer goes. `onError` ends it and comes at most once; nothing comes after it or after `onEnd`. */
export interface AnswerSink {
  /** The request has a connection; `abort` ends it in any phase from here on. */
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

/** Credentials and patience of one background call. */
export interface CallOptions {
  readonly apiKey: string | undefined
  readonly signal?: AbortSignal
}

/** Whether a bare text is counted with the marks that the tokenizer puts before it by default. */
export type SpecialTokens = 'with marks' | 'text only'

export interface WarmCall {
  /** Served name. */
  readonly model: string
  readonly tokenIds: Uint32Array
  readonly salt: string
}

export interface WarmResult {
  /** The call's own `cached_tokens`; undefined when the engine does not report them (`--enable-prompt-tokens-details`). */
  readonly cachedTokens: number | undefined
  readonly promptTokens: number
}

export interface EngineModel {
  /** The name that clients send: a served name, or an adapter's. */
  readonly id: string
  /** The engine's own model path, which LMCache's keys hold; an adapter's is its parent's. */
  readonly engineName: string
  /** The engine's own limit in tokens; undefined when neither it nor the operator says. */
  readonly limit: number | undefined
  /** What sessions are held to: the engine's limit, or less where the operator wants it so. */
  readonly contextLimit: number | undefined
}

/** What turns of a model are held to, as far as anybody says. */
export type ModelLimits = Pick<EngineModel, 'limit' | 'contextLimit'>

/** The models that an engine serves. Cached, so that a turn does not wait for them. */
export interface EngineModels {
  /** Whether the engine lists it, as far as is known now. Asks nothing. */
  isServed(name: string): boolean
  /** The limits of that served name, without asking: the operator's for a model that the engine does not list. */
  limitsOf(name: string, apiKey: string | undefined): ModelLimits
  /** The same for a turn that must not go out unmeasured: asks where nobody has said anything yet. A failure leaves it unknown. */
  limitsToHold(name: string, apiKey: string | undefined): Promise<ModelLimits>
  /** The model of that served name, asking if need be; undefined when the engine does not list it. Throws what the call throws. */
  find(name: string, apiKey: string | undefined): Promise<EngineModel | undefined>
  /** All models, asked anew. Throws `UPSTREAM_REJECTED` when the engine refuses. */
  list(apiKey: string | undefined): Promise<readonly EngineModel[]>
  /** The engine's own answer to /v1/models, asked anew. Throws what the call throws. */
  page(apiKey: string | undefined, signal: AbortSignal): Promise<JsonAnswer>
  /**
   * Given the models of one answer to /v1/models, returns what to show for each as `max_input_tokens`: the limit that turns are held to,
   * or undefined where nobody knows one. What the engine shows itself stands, unless the operator holds the model below it.
   */
  inputLimits(cards: readonly JsonValue[]): (card: JsonObject) => number | undefined
}

/** An answer to one of cwm's own calls. */
export interface JsonAnswer {
  readonly status: number
  readonly body: JsonObject
}

/** The newest evidence about an engine: a request was answered, with any status, or its connection failed. */
export type Sighting = { readonly ok: true } | { readonly ok: false; readonly error: string }

export type BreakerState = 'closed' | 'half_open' | 'open'

export interface EngineHealth {
  readonly breaker: BreakerState
  /** From turns, probes, and cwm's own calls; undefined until the first one ends. */
  readonly lastSeen: Sighting | undefined
  /** Asks whether the engine answers, also while the breaker is open; an answer closes it. Never throws. */
  probe(deadlineMs: number): Promise<Sighting>
}
