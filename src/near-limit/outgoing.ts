// The prompt that a turn would send, base window and own messages, as values for measuring and as bytes for sending.

import { isPresent, type JsonObject, type JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { itemsOf, type RawObject } from '../dialects/raw-json.ts'
import type { CutNote } from '../limits/cut-note.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import type { Continuation } from '../windows/continuation.ts'

export interface OutgoingPrompt {
  readonly model: string
  readonly messages: readonly JsonValue[]
  /** Everything else that shapes the prompt, from the window and the request. */
  readonly shaping: JsonObject
  /** How many messages precede the request's own, and the `id` of the window they come from. */
  readonly before: number
  readonly windowId: string | undefined
  /** How many of the request's own messages are dropped because the window has them. */
  readonly skip: number
  /** Fields that the request inherits from the window. */
  readonly added: JsonObject
}

/** Which of a turn's messages are sent. */
export interface Cut {
  /** Digest of the cut messages: the same on every proxy and after every restart. */
  readonly digest: string
  /** Indices of the kept messages, in sending order. */
  readonly keep: readonly number[]
  readonly dropped: readonly number[]
  /** The note that informs the model about the cut. */
  readonly note?: CutNote
}

/** The whole prompt of a request. With a base window, the window's messages come first, and its fields fill those that the request leaves out. */
export function outgoingOf(
  json: JsonObject,
  rules: DialectRules,
  base: BaseWindow | undefined,
  continuation: Continuation | undefined,
): OutgoingPrompt {
  const own = rules.readMessages(json)
  const behind = base !== undefined && continuation?.kind === 'behind'
  const skip = behind ? continuation.skip : 0
  const added: Record<string, JsonValue> = {}
  for (const [field, value] of Object.entries(base?.prompt.shaping ?? {})) {
    if (!isPresent(json[field]) && isPresent(value)) added[field] = value
  }
  return {
    model: typeof json.model === 'string' ? json.model : '',
    messages: behind ? [...base.prompt.messages, ...own.slice(skip)] : own,
    // Not a getter, although few turns need it: V8 makes a hidden class for each literal with a getter. That class is in the old generation
    // and refers to the getter and its variables, so every parsed body would survive young collections (decision 10).
    shaping: shapingOf(json, rules, added),
    before: behind ? base.prompt.messages.length : 0,
    windowId: behind ? base.record.id : undefined,
    skip,
    added,
  }
}

function shapingOf(json: JsonObject, rules: DialectRules, added: JsonObject): JsonObject {
  const shaping: Record<string, JsonValue | undefined> = { ...added }
  for (const field of rules.shapingFields) {
    const value = json[field]
    if (isPresent(value)) shaping[field] = value
  }
  return shaping
}

/** The JSON of each outgoing message: the window's as stored, the request's as its own bytes. */
export function messageBytes(
  { before, skip }: OutgoingPrompt,
  base: BaseWindow | undefined,
  rules: DialectRules,
  raw: RawObject,
  json: JsonObject,
): readonly (Buffer | string)[] {
  const field = rules.messagesField
  const parts: (Buffer | string)[] = before === 0 ? [] : [...(base?.json ?? [])]
  if (field === undefined) return parts
  const own = json[field]
  if (typeof own === 'string') return [...parts, JSON.stringify(rules.textMessage('user', own))]
  const span = raw.find(field)
  const items = span === undefined ? [] : itemsOf(raw.bytes, span.start)
  for (const { start, end } of items.slice(skip)) parts.push(raw.bytes.subarray(start, end))
  return parts
}

/** The JSON of the messages after a cut. The note to the model may replace one of them, or come before all. */
export function cutItems(items: readonly (Buffer | string)[], cut: Cut | undefined): readonly (Buffer | string)[] {
  if (cut === undefined) return items
  const kept = cut.keep.flatMap((i) => items[i] ?? [])
  const { note } = cut
  if (note?.kind === 'message') return kept.with(note.at, JSON.stringify(note.message))
  return note?.kind === 'front' ? [JSON.stringify(note.message), ...kept] : kept
}

/** Maps an index in the outgoing messages to one in the client's messages; undefined for messages that the client did not send. */
export function clientIndexOf(
  { before, skip }: OutgoingPrompt,
  cut: Cut | undefined,
): (sent: number) => number | undefined {
  return (sent) => {
    const index = cut === undefined ? sent : cut.keep[cut.note?.kind === 'front' ? sent - 1 : sent]
    return index === undefined || index < before ? undefined : index - before + skip
  }
}

/** Total bytes of the parts. */
export function bytesOf(parts: Iterable<Buffer | string>): number {
  let bytes = 0
  for (const part of parts) bytes += typeof part === 'string' ? Buffer.byteLength(part) : part.length
  return bytes
}

/** A JSON list of these items. */
export function listOf(items: readonly (Buffer | string)[]): Buffer {
  const joined: Buffer[] = [Buffer.from('[')]
  for (const [i, item] of items.entries()) {
    if (i > 0) joined.push(Buffer.from(','))
    joined.push(typeof item === 'string' ? Buffer.from(item) : item)
  }
  joined.push(Buffer.from(']'))
  return Buffer.concat(joined)
}
