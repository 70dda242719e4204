// Where a conversation holds pictures, sound or files. Their ids are placeholders (docs/engine-behavior.md#placeholder-ids), so no KV may
// be claimed or computed from the first of them on.

import { isObject, type JsonValue } from '../base/json.ts'

const TEXT_PARTS: readonly (JsonValue | undefined)[] = [
  undefined,
  'text',
  'input_text',
  'output_text',
  'refusal',
  'thinking',
  'reasoning_text',
  'summary_text',
  'redacted_thinking',
  'tool_use',
  'tool_result',
]

/** Index of the first message that holds more than text; -1 when all are text. */
export function firstMediaAt(messages: readonly JsonValue[]): number {
  return messages.findIndex((message) => isObject(message) && [message.content, message.output].some(holdsMedia))
}

/** The same message with nothing but this text in it. */
export function asText(message: JsonValue | undefined, text: string): JsonValue {
  if (!isObject(message)) return { role: 'user', content: text }
  return Array.isArray(message.output) ? { ...message, output: text } : { ...message, content: text }
}

/** A part of a kind that is not known is no text. */
function holdsMedia(content: JsonValue | undefined): boolean {
  if (!Array.isArray(content)) return false
  return content.some(
    (part: JsonValue) => isObject(part) && (!TEXT_PARTS.includes(part.type) || holdsMedia(part.content)),
  )
}

/** A message without its pictures and the like, and how many of them it held. */
export function withoutMedia(message: JsonValue): { readonly text: JsonValue; readonly media: number } {
  if (firstMediaAt([message]) === -1 || !isObject(message)) return { text: message, media: 0 }
  let media = 0
  const strip = (content: JsonValue | undefined): JsonValue | undefined => {
    if (!Array.isArray(content)) return content
    const parts = content as readonly JsonValue[]
    const kept = parts.filter((part) => !isObject(part) || TEXT_PARTS.includes(part.type))
    media += parts.length - kept.length
    return kept.map((part) =>
      isObject(part) && Array.isArray(part.content) ? { ...part, content: strip(part.content) } : part,
    )
  }
  const { content, output, ...rest } = message
  const text = { ...rest, content: strip(content), output: strip(output) }
  return { text, media }
}
