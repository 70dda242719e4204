// The likely token count of a message in any dialect: its words by typical.ts, plus a little for the template. Content that no template
// writes counts nothing, so an SDK's additions to an echo do not move a cut. Never above upper-bound.ts.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { systemFields } from '../dialects/index.ts'
import { type TokenScale, typicalTokens, UNSCALED } from './typical.ts'
import { upperTokensOfMessage, upperTokensOfShaping } from './upper-bound.ts'

/** Role and markers around a message. */
const MESSAGE = 6
/** Markers around a part or a call. */
const PART = 2
/** Quotes, colon and comma of a member, besides its text. */
const MEMBER = 2
/** What a template writes about offered tools. */
const TOOLS = 128

/** Fields that templates do not write: ids, and what engines and SDKs add beside the text. */
const UNWRITTEN = new Set([
  'type',
  'id',
  'call_id',
  'tool_call_id',
  'tool_use_id',
  'index',
  'status',
  'phase',
  'annotations',
  'citations',
  'logprobs',
  'signature',
  'encrypted_content',
  'cache_control',
])
/** Fields that contain parts. */
const NESTED = new Set(['content', 'summary', 'output', 'tool_calls', 'function'])

/** Tokens of one message or input item; at most `upperTokensOfMessage`. */
export function typicalTokensOfMessage(message: JsonValue, scale = UNSCALED): number {
  return Math.min(MESSAGE + ofPart(message, scale), upperTokensOfMessage(message))
}

/** Tokens of everything beside the messages; at most `upperTokensOfShaping`. */
export function typicalTokensOfShaping(shaping: JsonObject, scale = UNSCALED): number {
  let tokens = 0
  for (const [field, value] of Object.entries(shaping)) {
    if (systemFields.has(field)) tokens += MESSAGE + ofPart(value, scale)
    else tokens += ofJson(value, scale) + (field === 'tools' ? TOOLS : 0)
  }
  return Math.min(tokens, upperTokensOfShaping(shaping))
}

/** The texts of a message that count. */
export function wordsOf(part: JsonValue | undefined): readonly string[] {
  if (typeof part === 'string') return [part]
  if (Array.isArray(part)) return part.flatMap((item: JsonValue) => wordsOf(item))
  if (!isObject(part)) return []
  return Object.entries(part).flatMap(([key, member]) => (UNWRITTEN.has(key) ? [] : wordsOf(member)))
}

function ofPart(part: JsonValue | undefined, scale: TokenScale): number {
  if (!isObject(part))
    return Array.isArray(part) ? sum(part, (item) => PART + ofPart(item, scale)) : ofJson(part, scale)
  return sum(Object.entries(part), ([key, member]) => {
    if (member === null || UNWRITTEN.has(key)) return 0
    return NESTED.has(key) ? ofPart(member, scale) : ofJson(member, scale)
  })
}

function ofJson(value: JsonValue | undefined, scale: TokenScale): number {
  if (typeof value === 'string') return typicalTokens(value, scale)
  if (typeof value !== 'object' || value === null) return typicalTokens(String(value), scale)
  if (!isObject(value)) return sum(value, (item) => MEMBER + ofJson(item, scale))
  return sum(Object.entries(value), ([key, member]) => MEMBER + typicalTokens(key, scale) + ofJson(member, scale))
}

function sum<T>(items: readonly T[], tokensOf: (item: T) => number): number {
  let tokens = 0
  for (const item of items) tokens += tokensOf(item)
  return tokens
}
