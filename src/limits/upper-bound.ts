// An upper bound of a prompt's tokens, without a tokenizer. Tokenizers that fall back to bytes (byte-level BPE, and SentencePiece with byte
// fallback) never produce more tokens than the rendered text has bytes. So bytes are counted, and the longest form of anything that templates
// write in several ways. Media have no bound here: see dialects/media.ts.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { systemFields, vocabulary } from '../dialects/index.ts'
import { maxBytesOfJson } from './json-upper-bound.ts'

/** What a template writes before all messages, at most, until a turn has shown it: a date, a default system prompt, how to call tools. */
export const PREAMBLE_TOKENS = 1024
/** What it writes after the last message to start the answer. */
export const GENERATION_PROMPT_TOKENS = 32

/** Around a message and each of its parts: some dialects' parts become messages. */
const MESSAGE = 32
/** Around a tool call. */
const CALL = 128
/** Around a tool result: some templates look up the name of the called tool. */
const RESULT = 128 + MESSAGE
/** Around a tool definition: docs/engine-behavior.md#tools-in-the-prompt. */
const TOOL = 256
/** A built-in tool, which the engine describes itself. */
const OWN_TOOL = 1024

/** Fields of messages and parts that templates write as text; all others may be written as JSON. */
const TEXT_FIELDS = new Set(['content', 'text', 'refusal', 'reasoning', 'reasoning_content', 'thinking', 'summary'])
const CLIENT_TOOLS = new Set<JsonValue | undefined>([undefined, 'function', 'custom', 'namespace'])
const { calls, results, toolFields } = vocabulary

/**
 * Never below the engine's own count, except for the template's preamble: callers add `PREAMBLE_TOKENS`. Infinite if there is no bound (a
 * client's own template). Not for messages with media.
 */
export function upperTokens({ messages, shaping }: Pick<Prompt, 'messages' | 'shaping'>): number {
  let tokens = GENERATION_PROMPT_TOKENS + upperTokensOfShaping(shaping)
  for (const message of messages) tokens += upperTokensOfMessage(message)
  return tokens
}

/** The bytes of the text, or of its composed form (NFC), which some tokenizers read, if that is longer. */
export function upperTokensOfText(text: string): number {
  const bytes = Buffer.byteLength(text)
  return bytes === text.length ? bytes : Math.max(bytes, Buffer.byteLength(text.normalize('NFC')))
}

/** The most that one message or input item of any dialect adds to a prompt. */
export function upperTokensOfMessage(message: JsonValue): number {
  return isObject(message) && (message.role === 'tool' || message.role === 'function')
    ? RESULT + maxBytesOfJson(message)
    : ofPart(message)
}

/** The most that tools, system prompt, template arguments and all other fields beside the messages add. */
export function upperTokensOfShaping(shaping: JsonObject): number {
  let tokens = 0
  for (const [field, value] of Object.entries(shaping)) {
    if (systemFields.has(field)) tokens += ofPart({ content: value })
    else if (toolFields.includes(field)) tokens += ofTools(value)
    else if (field === 'chat_template') return Number.POSITIVE_INFINITY
    else tokens += MESSAGE + maxBytesOfJson({ [field]: value })
  }
  return tokens
}

/** A message or a part of one. */
function ofPart(part: JsonValue): number {
  if (typeof part === 'string') return MESSAGE + upperTokensOfText(part)
  if (!isObject(part)) return MESSAGE + maxBytesOfJson(part)
  if (calls.has(part.type)) return CALL + maxBytesOfJson(part)
  if (results.has(part.type)) return RESULT + maxBytesOfJson(part)
  let tokens = MESSAGE
  for (const [field, value] of Object.entries(part)) {
    if (TEXT_FIELDS.has(field) && typeof value === 'string') tokens += upperTokensOfText(value)
    else if (TEXT_FIELDS.has(field) && Array.isArray(value)) for (const item of value) tokens += ofPart(item)
    else tokens += maxBytesOfJson({ [field]: value }) + (Array.isArray(value) ? CALL * value.length : 0)
  }
  return tokens
}

function ofTools(tools: JsonValue | undefined): number {
  if (!Array.isArray(tools)) return maxBytesOfJson(tools)
  let tokens = 0
  for (const tool of tools as readonly JsonValue[]) {
    tokens += maxBytesOfJson(tool) + TOOL
    if (!isObject(tool)) continue
    if (!CLIENT_TOOLS.has(tool.type) && tool.input_schema === undefined) tokens += OWN_TOOL
    // The namespace precedes the name of each of its tools.
    if (Array.isArray(tool.tools)) tokens += tool.tools.length * (TOOL + maxBytesOfJson(tool.name))
  }
  return tokens
}
