// The interface of a dialect: reading a history of messages, reading an answer, writing an error. Each dialect's file implements it, so no code
// outside dialects/ checks which dialect it has. Nothing here knows HTTP, sessions or windows.

import type { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { RateQuotas } from '../base/rates.ts'
import type { Dialect, Prompt, Usage } from '../base/records.ts'
import type { DeltaRules } from '../sse/deltas.ts'
import type { ArgumentsBudget } from './canonical-json.ts'

/** One alternative of an answer (`n` > 1 produces several), as the messages that a client would send back. */
export interface Choice {
  readonly messages: readonly JsonValue[]
  readonly finishReason?: string
}

/** The content of an answer, read from its bytes after they were sent. */
export interface Observation {
  readonly usage?: Usage
  readonly choices: readonly Choice[]
  /** The id by which a later request may refer to the answer, if the engine stores it. */
  readonly responseId?: string
  /** False if the answer was cut off or reported an error; no history then contains it. */
  readonly complete: boolean
}

/** How one message contributes to a history's identity. */
export interface CanonicalMessage {
  /** Unambiguous text of the identifying fields; undefined for messages that clients may omit from an echo. */
  readonly text: string | undefined
  /** Whether the model wrote it. A delivered reply ends with such a message. */
  readonly fromModel: boolean
}

/** A turn that does not fit, in tokens. */
export interface Overflow {
  readonly limit: number
  /** The engine's exact count. */
  readonly promptTokens: number
  /** Tokens needed for the answer. */
  readonly room: number
}

/** Errors in the format and wording that clients of the API expect. */
export interface ErrorShape {
  /** The JSON text of an error answer. */
  body(error: CwmError, requestId: string): string
  /** The event that reports a broken stream. The connection is broken after it and never ends cleanly. */
  event(error: CwmError): string
  /** Headers that tell a client what is left of its rate limits at `now` (milliseconds since the epoch), by lower-case name. */
  rateHeaders(quotas: RateQuotas, now: number): Readonly<Record<string, string>>
  /** The message of `CONTEXT_LENGTH_EXCEEDED`, by which SDKs and agents recognize it. */
  contextExceeded(overflow: Overflow): string
  /** The field that `CONTEXT_LENGTH_EXCEEDED` names; undefined if its name would precede wording that clients match. */
  readonly contextParam: string | undefined
}

/** Answers that the engine stores for later requests, each under an id: `path`/ID. */
export interface StoredAnswers {
  /** Id of the answer that a request continues; undefined if it continues none. Throws `INVALID_FIELD` if it is not a string. */
  continued(body: JsonObject): string | undefined
  /** Whether the engine may store this request's answer under a new id. */
  keeps(body: JsonObject): boolean
}

/** A tool call in a reply. */
export interface ToolCall {
  readonly name: string
  /** In the dialect's form: a value, or its JSON as text. */
  readonly arguments: JsonValue | undefined
}

/** The vocabulary of a dialect's bodies, for code that handles messages of all dialects alike. */
export interface Vocabulary {
  /** Fields of a message that contain its parts. */
  readonly partFields: readonly string[]
  /** Types of text parts. */
  readonly textParts: readonly string[]
  /** Types of image, audio and file parts. */
  readonly mediaParts: readonly string[]
  /** Types of parts or messages that call a tool. */
  readonly calls: readonly string[]
  /** Types of parts or messages that contain a tool's result. */
  readonly results: readonly string[]
  /** Fields beside the messages that define tools. */
  readonly toolFields: readonly string[]
}

/** How a question to a window is bounded. */
export interface QuestionBounds {
  readonly maxTokens: number
  /** Undefined: the engine's default. */
  readonly temperature: number | undefined
  /** The model may not call a tool. */
  readonly withoutTools: boolean
}

/** How a question to a window is sent in a dialect, and its streamed answer read. */
export interface QuestionRules {
  /** Body fields beside the prompt. The answer is a stream that reports its usage. */
  fields(bounds: QuestionBounds): JsonObject
  /** The text that an event of the stream adds to the answer; undefined if it adds none. Reasoning is not part of the answer. */
  textOf(event: JsonObject): string | undefined
}

/** What a chat prompt is needed for: its exact ids, or only their count. */
export type ChatPurpose = 'ids' | 'count'

export interface DialectRules {
  readonly dialect: Dialect
  /** The API's name in error messages. */
  readonly title: string
  /** Path of its requests at the upstream. */
  readonly path: string
  /** Additional paths that do not touch KV, such as a token count, with their methods. They are forwarded unchanged. */
  readonly plainPaths: Readonly<Record<string, readonly string[]>>
  readonly errors: ErrorShape
  /** Undefined if the engine stores no answers. */
  readonly stored: StoredAnswers | undefined
  /** Throws `NOT_SUPPORTED` for a request that relies on server-side state, other than an answer that it continues (see `stored`). */
  checkServerState(body: JsonObject): void
  /** Body field with the messages; undefined if there is none. */
  readonly messagesField: string | undefined
  /** Body fields beside the messages that shape the prompt. Windows store them. */
  readonly shapingFields: readonly string[]
  /** Those that templates rarely use. */
  readonly slightFields: readonly string[]
  readonly vocabulary: Vocabulary
  /** The body's messages as a list (a plain string input becomes one user message). Throws `INVALID_FIELD`. */
  readMessages(body: JsonObject): readonly JsonValue[]
  /** Body field of a system prompt outside the messages; undefined if there is none. */
  readonly systemField: string | undefined
  /** Type of a text part in a system message. */
  readonly systemPartType: string
  /** Where to add a missing system prompt: in `systemField`, or before all messages. */
  readonly newSystem: 'field' | 'message'
  /** The system prompt outside the messages, as a message. */
  outerSystem(body: JsonObject): JsonValue | undefined
  canonical(message: JsonValue, budget?: ArgumentsBudget): CanonicalMessage
  /** `canonical`'s `fromModel`, without computing the text. */
  isFromModel(message: JsonValue): boolean
  /** A user message with this text, for probing what the next prompt starts with. */
  probe(text: string, previous: JsonValue | undefined): readonly JsonValue[]
  /** A message that contains only this text. */
  textMessage(role: 'system' | 'user', text: string): JsonValue
  /** Whether this message is a system prompt. */
  isSystem(message: JsonValue): boolean
  /** Ids of the tool calls in the message; '' for one without an id. */
  toolCallIds(message: JsonValue): readonly string[]
  /** Ids of the tool calls whose results the message contains; '' for a result without an id. */
  toolResultIds(message: JsonValue): readonly string[]
  /** The message's tool calls that name their tool. */
  toolCalls(message: JsonValue): readonly ToolCall[]
  /** The client's bound on the answer's tokens; undefined if it sets none. */
  maxTokens(body: JsonObject): number | undefined
  /** Finish reason of an answer that ran out of allowed tokens. */
  readonly cutReason: string
  /** What vLLM's render endpoint (`path`/render) requires beside the prompt; undefined if there is no such endpoint. */
  readonly renderFields: JsonObject | undefined
  /** The same prompt in the chat dialect, which is all that `/tokenize` accepts; undefined if chat cannot express it for that purpose. */
  toChat(prompt: Prompt, purpose: ChatPurpose): Prompt | undefined
  /** Whether a stream reports usage only when `stream_options.include_usage` asks for it. */
  readonly usageOnRequest: boolean
  observeJson(body: JsonObject): Observation
  /** Consecutive text deltas may be merged into one with their concatenated text. */
  observeEvents(events: readonly JsonObject[]): Observation
  /** Where a stream's events contain the text they add; undefined if the events differ in more than that. */
  readonly deltas: DeltaRules | undefined
  /** Undefined for dialects without messages. */
  readonly questions: QuestionRules | undefined
  /** How the line that ends a stream starts, including the preceding line break. Any of them ends it. */
  readonly terminalLines: readonly Buffer[]
}
