// Messages of any dialect in one form for people to read: texts, tool calls, results, and placeholders for media.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { vocabulary } from './index.ts'

export interface ReadablePart {
  readonly kind: 'text' | 'reasoning' | 'tool_call' | 'tool_result' | 'media' | 'other'
  /** Empty for media, except for the address of a file that is elsewhere. */
  readonly text: string
  /** Of the tool, or the type of the media. */
  readonly name?: string
  /** Of the tool call. */
  readonly callId?: string
  /** Size of media in the message; unknown if it is elsewhere. */
  readonly bytes?: number
}

export interface ReadableMessage {
  readonly role: string
  readonly parts: readonly ReadablePart[]
}

/** Deeper nesting is shown as JSON. */
const MAX_DEPTH = 3
const reasoningTypes = new Set(['thinking', 'reasoning_text', 'summary_text'])
/** What holds the bytes of media, at some depth. */
const BASE64_FIELDS = ['data', 'file_data', 'image_embeds', 'audio_embeds']

/** Reads one message or item. Never throws: what it does not know becomes JSON text. */
export function readableMessage(message: JsonValue): ReadableMessage {
  if (!isObject(message)) return { role: 'user', parts: [{ kind: 'text', text: textFrom(message) }] }
  const type = textOf(message.type)
  if (vocabulary.calls.has(type)) return { role: 'assistant', parts: [callOf(message)] }
  if (vocabulary.results.has(type)) return { role: 'tool', parts: resultOf(message, message.output, message.call_id) }
  if (type === 'reasoning') return { role: 'assistant', parts: reasoningOf(message) }
  const role = textOf(message.role)
  if (role === undefined) return { role: type ?? 'unknown', parts: [{ kind: 'other', text: pretty(message) }] }
  if (role === 'tool') return { role, parts: resultOf(message, message.content, message.tool_call_id) }
  return {
    role,
    parts: [...thoughtsOf(message), ...partsOf(message.content), ...refusalOf(message), ...callsOf(message)],
  }
}

function partsOf(content: JsonValue | undefined, depth = 0): ReadablePart[] {
  if (content === undefined || content === null || content === '') return []
  if (typeof content === 'string') return [{ kind: 'text', text: content }]
  if (!Array.isArray(content)) return [{ kind: 'other', text: pretty(content) }]
  return (content as readonly JsonValue[]).flatMap((part) => partOf(part, depth))
}

function partOf(part: JsonValue, depth: number): ReadablePart[] {
  if (!isObject(part)) return [{ kind: 'text', text: textFrom(part) }]
  const type = textOf(part.type)
  if (type === 'refusal') return [{ kind: 'text', text: textFrom(part.refusal ?? part.text) }]
  if (reasoningTypes.has(type ?? '')) return [{ kind: 'reasoning', text: textFrom(part.thinking ?? part.text) }]
  if (vocabulary.calls.has(type)) return [callOf(part)]
  if (vocabulary.results.has(type))
    return depth < MAX_DEPTH ? resultOf(part, part.content, part.tool_use_id, depth + 1) : [other(part)]
  if (vocabulary.mediaParts.has(type)) return [mediaOf(part, type ?? 'media')]
  if (typeof part.text === 'string') return [{ kind: 'text', text: part.text }]
  return [other(part)]
}

function resultOf(
  message: JsonObject,
  content: JsonValue | undefined,
  id: JsonValue | undefined,
  depth = 0,
): ReadablePart[] {
  const named = { ...optional('name', textOf(message.name)), ...optional('callId', textOf(id)) }
  const parts = partsOf(content, depth)
  if (parts.length === 0) return [{ kind: 'tool_result', text: '', ...named }]
  return parts.map((part) => (part.kind === 'text' ? { kind: 'tool_result', text: part.text, ...named } : part))
}

function callOf(call: JsonObject): ReadablePart {
  const text = argumentsText(call.arguments ?? call.input)
  const id = textOf(call.call_id) ?? textOf(call.id)
  return { kind: 'tool_call', text, ...optional('name', textOf(call.name)), ...optional('callId', id) }
}

/** Tool calls of the chat dialect. */
function callsOf({ tool_calls: calls, function_call: old }: JsonObject): ReadablePart[] {
  const all = [
    ...(Array.isArray(calls) ? (calls as readonly JsonValue[]) : []),
    ...(isObject(old) ? [{ function: old }] : []),
  ]
  return all.map((call) => {
    if (!isObject(call)) return { kind: 'other', text: textFrom(call) }
    const called = isObject(call.function) ? call.function : isObject(call.custom) ? call.custom : undefined
    return called === undefined ? other(call) : callOf({ ...called, id: call.id ?? null })
  })
}

function thoughtsOf({ reasoning, reasoning_content }: JsonObject): ReadablePart[] {
  const text = textOf(reasoning) ?? textOf(reasoning_content)
  return text === undefined || text === '' ? [] : [{ kind: 'reasoning', text }]
}

function refusalOf({ refusal }: JsonObject): ReadablePart[] {
  return typeof refusal === 'string' && refusal !== '' ? [{ kind: 'text', text: refusal }] : []
}

function reasoningOf({ summary, content, encrypted_content: sealed }: JsonObject): ReadablePart[] {
  const parts = [...partsOf(summary), ...partsOf(content)].map((part) => ({ ...part, kind: 'reasoning' as const }))
  if (parts.length > 0 || typeof sealed !== 'string') return parts
  return [{ kind: 'other', text: 'encrypted reasoning', bytes: bytesOf(sealed) }]
}

function mediaOf(part: JsonObject, type: string): ReadablePart {
  const found = findMedia(part, 0)
  return { kind: 'media', text: found?.address ?? '', name: found?.type ?? type, ...optional('bytes', found?.bytes) }
}

interface Media {
  readonly type?: string
  readonly bytes?: number
  readonly address?: string
}

function findMedia(value: JsonValue | undefined, depth: number): Media | undefined {
  if (typeof value === 'string') return fromAddress(value)
  if (!isObject(value) || depth > MAX_DEPTH) return undefined
  for (const field of BASE64_FIELDS) {
    const data = value[field]
    if (typeof data !== 'string') continue
    return data.startsWith('data:')
      ? fromAddress(data)
      : { bytes: bytesOf(data), ...optional('type', textOf(value.media_type) ?? textOf(value.format)) }
  }
  for (const [field, inner] of Object.entries(value)) {
    if (field === 'type' || field === 'detail') continue
    const found = findMedia(inner, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

function fromAddress(text: string): Media | undefined {
  const [, type, data] = /^data:([^;,]*)[^,]*,(.*)$/s.exec(text) ?? []
  if (data !== undefined) return { bytes: bytesOf(data), ...optional('type', type === '' ? undefined : type) }
  return /^https?:/i.test(text) ? { address: text } : undefined
}

/** Of base64. */
function bytesOf(data: string): number {
  return Math.floor((data.length * 3) / 4) - (data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0)
}

/** Arguments come as a value, or as its JSON. */
function argumentsText(value: JsonValue | undefined): string {
  if (typeof value !== 'string') return value === undefined || value === null ? '' : pretty(value)
  try {
    return pretty(JSON.parse(value) as JsonValue)
  } catch {
    return value
  }
}

function other(part: JsonObject): ReadablePart {
  return { kind: 'other', text: pretty(part), ...optional('name', textOf(part.type)) }
}

function pretty(value: JsonValue): string {
  return JSON.stringify(value, null, 2)
}

function textFrom(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : value === undefined ? '' : pretty(value)
}

const textOf = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined)

function optional<Name extends string, T>(name: Name, value: T | undefined): { readonly [N in Name]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [N in Name]?: T })
}
