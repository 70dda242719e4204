// Pages and searches the messages of a prompt.

import type { JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { type ReadableMessage, type ReadablePart, readableMessage } from '../dialects/readable.ts'
import type { MessagesJson, MessagesQuery, ReadableMessageJson, ReadablePartJson } from '../wire/messages.ts'

/** A page ends after the message with which it has so many characters. */
const PAGE_CHARS = 64 * 1024
const MAX_PARTS = 100
/** Characters shown before a match in a text that is cut. */
const BEFORE_MATCH = 200

interface Entry {
  readonly index: number | null
  readonly message: JsonValue
}

/** A page of messages, without `of` and `name`. */
export function readMessages(prompt: Prompt, query: MessagesQuery): Omit<MessagesJson, 'of' | 'name'> {
  const { offset, limit, search, max_chars: maxChars } = query
  const needle = search?.toLowerCase()
  const entries = entriesOf(prompt)
  const matching =
    needle === undefined ? entries : entries.filter(({ message }) => contains(readableMessage(message), needle))
  const data: ReadableMessageJson[] = []
  let chars = 0
  for (const { index, message } of matching.slice(offset, offset + limit)) {
    if (chars >= PAGE_CHARS) break
    const shown = cut(readableMessage(message), maxChars, needle)
    data.push({ index, ...shown })
    chars += shown.parts.reduce((sum, { text }) => sum + text.length, 0)
  }
  const next = offset + data.length
  return {
    model: prompt.model,
    dialect: prompt.dialect,
    total: matching.length,
    offset,
    next_offset: next < matching.length && data.length > 0 ? next : null,
    data,
  }
}

function entriesOf({ dialect, messages, shaping }: Prompt): readonly Entry[] {
  const outer = rulesOf(dialect).outerSystem(shaping)
  const listed = messages.map((message, index) => ({ index, message }))
  return outer === undefined ? listed : [{ index: null, message: outer }, ...listed]
}

function contains({ parts }: ReadableMessage, needle: string): boolean {
  return parts.some(({ text, name }) => text.toLowerCase().includes(needle) || name?.toLowerCase().includes(needle))
}

function cut(
  { role, parts }: ReadableMessage,
  maxChars: number,
  needle: string | undefined,
): Omit<ReadableMessageJson, 'index'> {
  const chars = parts.reduce((sum, { text }) => sum + text.length, 0)
  const first =
    needle === undefined
      ? 0
      : Math.max(
          0,
          parts.findIndex(({ text }) => text.toLowerCase().includes(needle)),
        )
  // From the part with the match on, if not all can be shown.
  const candidates = (chars > maxChars ? parts.slice(first) : parts).slice(0, MAX_PARTS)
  const shown: ReadablePartJson[] = []
  let left = maxChars
  for (const part of candidates) {
    if (left <= 0) break
    const piece = cutPart(part, left, needle)
    left -= piece.text.length
    shown.push(piece)
  }
  const shownChars = shown.reduce((sum, { text }) => sum + text.length, 0)
  return { role, chars, is_cut: shownChars < chars || shown.length < parts.length, parts: shown }
}

function cutPart(
  { kind, text, name, callId, bytes }: ReadablePart,
  left: number,
  needle: string | undefined,
): ReadablePartJson {
  const at = needle === undefined || text.length <= left ? -1 : text.toLowerCase().indexOf(needle)
  const from = wholeCharacter(text, at === -1 ? 0 : Math.max(0, Math.min(at - BEFORE_MATCH, text.length - left)))
  return {
    kind,
    text: text.slice(from, wholeCharacter(text, from + left)),
    ...(from === 0 ? {} : { from }),
    ...(name === undefined ? {} : { name }),
    ...(callId === undefined ? {} : { call_id: callId }),
    ...(bytes === undefined ? {} : { bytes }),
  }
}

/** The position, or the one before it if it is between the halves of a character. */
function wholeCharacter(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return at > 0 && code >= 0xdc00 && code < 0xe000 ? at - 1 : at
}
