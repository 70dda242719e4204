// What the request shapes have in common: a history of messages, an answer to read, an error to word. Each dialect's file holds the rest, so
// that no code outside this room asks which dialect it has; nothing here or there knows of HTTP, sessions or windows.

import type { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Dialect, Prompt, Usage } from '../base/records.ts'
import type { DeltaRules } from '../sse/deltas.ts'
import type { ArgumentsBudget } from './canonical-json.ts'

/** One alternative of an answer (`n` > 1 gives several), as the messages that a client would send back. */
export interface Choice {
  readonly messages: readonly JsonValue[]
  readonly finishReason?: string
}

/** What an answer was found to hold, read from its bytes after they went out. */
export interface Observation {
  readonly usage?: Usage
  readonly choices: readonly Choice[]
  /** By which a later request may refer to the answer, where the engine keeps it. */
  readonly responseId?: string
  /** False when the answer broke off, or told of an error: such a turn is no one's history. */
  readonly complete: boolean
}

/** The place of one message in the identity of a history. */
export interface CanonicalMessage {
  /** Unambiguous text of the fields that identify the message; undefined for what clients may leave out of an echo. */
  readonly text: string | undefined
  /** Whether the model wrote it: a delivered reply ends with such a message. */
  readonly fromModel: boolean
}

/** A turn that does not fit, in tokens. */
export interface Overflow {
  readonly limit: number
  /** Exact, as the engine counts. */
  readonly promptTokens: number
  /** Room that the answer wants beside the prompt. */
  readonly room: number
}

/** The shape and the words of an error as clients of the API expect them. */
export interface ErrorShape {
  /** The JSON text of an error answer. */
  body(error: CwmError, requestId: string): string
  /** The event that tells a client of a stream that it broke. A broken connection follows it, never a clean end. */
  event(error: CwmError): string
  /** The message of `CONTEXT_LENGTH_EXCEEDED`, by which SDKs and agents recognize it. */
  contextExceeded(overflow: Overflow): string
  /** The field that `CONTEXT_LENGTH_EXCEEDED` names; undefined where its name would stand before words that clients match. */
  readonly contextParam: string | undefined
}

/** Answers that the engine keeps for later requests, each under an id: `path`/ID. */
export interface StoredAnswers {
  /** Id of the answer that a request continues; undefined when it continues none. Throws `INVALID_FIELD` for what is no text. */
  continued(body: JsonObject): string | undefined
  /** Whether the engine may keep this request's answer, under an id of its own. */
  keeps(body: JsonObject): boolean
}

/** A call of a tool in a reply. */
export interface ToolCall {
  readonly name: string
  /** As the dialect has them: a value, or its JSON as text. */
  readonly arguments: JsonValue | undefined
}

/** The words of a dialect's bodies, for code that reads messages of all dialects alike. */
export interface Vocabulary {
  /** Fields of a message that hold its parts. */
  readonly partFields: readonly string[]
  /** Types of parts that are text and no media. */
  readonly textParts: readonly string[]
  /** Types of parts that hold a picture, sound or file. */
  readonly mediaParts: readonly string[]
  /** Types of parts or messages that call a tool. */
  readonly calls: readonly string[]
  /** Types of parts or messages that hold a tool's result. */
  readonly results: readonly string[]
  /** Fields beside the messages that offer tools. */
  readonly toolFields: readonly string[]
}

/** What a chat prompt is made for: its exact ids, or their number alone. */
export type ChatPurpose = 'ids' | 'count'

export interface DialectRules {
  readonly dialect: Dialect
  /** What error messages call its API. */
  readonly title: string
  /** Path of its requests at the upstream. */
  readonly path: string
  /** Paths beside it that touch no KV, such as a token count, each with its methods: they are passed on as they are. */
  readonly plainPaths: Readonly<Record<string, readonly string[]>>
  readonly errors: ErrorShape
  /** Undefined where the engine keeps no answers. */
  readonly stored: StoredAnswers | undefined
  /** Throws `NOT_SUPPORTED` for a request that relies on what a server keeps, other than an answer that it continues (see `stored`). */
  checkServerState(body: JsonObject): void
  /** Body field that holds the messages; undefined where there are none. */
  readonly messagesField: string | undefined
  /** Body fields beside the messages that shape the prompt. A window keeps them. */
  readonly shapingFields: readonly string[]
  /** Those of them that templates seldom look at. */
  readonly slightFields: readonly string[]
  readonly vocabulary: Vocabulary
  /** The body's messages as a list (a plain string input becomes one user message). Throws `INVALID_FIELD`. */
  readMessages(body: JsonObject): readonly JsonValue[]
  /** Body field of a system prompt that stands outside the messages; undefined where there is none. */
  readonly systemField: string | undefined
  /** Type of a text part in a system message. */
  readonly systemPartType: string
  /** Where a system prompt is put that a conversation does not have yet: into `systemField`, or before all messages. */
  readonly newSystem: 'field' | 'message'
  /** The system prompt that stands outside the messages, as a message. */
  outerSystem(body: JsonObject): JsonValue | undefined
  canonical(message: JsonValue, budget?: ArgumentsBudget): CanonicalMessage
  /** As `canonical` says it, without the work of the text. */
  isFromModel(message: JsonValue): boolean
  /** Body of a user message with this text, to probe what the next prompt begins with. */
  probe(text: string, previous: JsonValue | undefined): readonly JsonValue[]
  /** A message with nothing but this text in it. */
  textMessage(role: 'system' | 'user', text: string): JsonValue
  /** Whether this stands in the messages as a system prompt. */
  isSystem(message: JsonValue): boolean
  /** Ids of the tool calls that the message opens; '' for one without an id. */
  toolCallIds(message: JsonValue): readonly string[]
  /** Ids of the tool calls whose results the message holds; '' for a result that does not say. */
  toolResultIds(message: JsonValue): readonly string[]
  /** The calls in a message that say which tool they call. */
  toolCalls(message: JsonValue): readonly ToolCall[]
  /** Tokens that the client wants of the answer at most; undefined when it sets no bound. */
  maxTokens(body: JsonObject): number | undefined
  /** Finish reason of an answer that ran out of the tokens it was allowed. */
  readonly cutReason: string
  /** What vLLM's render endpoint (`path`/render) requires beside the prompt; undefined where there is no such endpoint. */
  readonly renderFields: JsonObject | undefined
  /** The same prompt as chat, which is all that `/tokenize` takes; undefined where it cannot be said in chat for that purpose. */
  toChat(prompt: Prompt, purpose: ChatPurpose): Prompt | undefined
  /** Whether a stream reports usage only when `stream_options.include_usage` asks for it. */
  readonly usageOnRequest: boolean
  observeJson(body: JsonObject): Observation
  /** Of neighbouring text deltas one may stand for all, with their texts together. */
  observeEvents(events: readonly JsonObject[]): Observation
  /** Where a stream's events hold the text that they add; undefined where each of them differs in more than that. */
  readonly deltas: DeltaRules | undefined
  /** What the line that ends a stream begins with, the line break before it included. Any of them ends it. */
  readonly terminalLines: readonly Buffer[]
}
