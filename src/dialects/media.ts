// Finds images, audio and files in a conversation. Their ids are placeholders (docs/engine-behavior.md#placeholder-ids), so no KV can be
// computed or claimed from the first one on.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { vocabulary } from './index.ts'

const { partFields, textParts } = vocabulary

/** Index of the first message with non-text content; -1 if there is none. */
export function firstMediaAt(messages: readonly JsonValue[]): number {
  return messages.findIndex((message) => isObject(message) && partFields.some((field) => holdsMedia(message[field])))
}

/** The same message with only this text. */
export function asText(message: JsonValue | undefined, text: string): JsonValue {
  if (!isObject(message)) return { role: 'user', content: text }
  const field = partFields.findLast((name) => Array.isArray(message[name])) ?? 'content'
  return { ...message, [field]: text }
}

/** A part of an unknown type counts as media; one without a type counts as text. */
function isText({ type }: JsonObject): boolean {
  return type === undefined || textParts.has(type)
}

function holdsMedia(content: JsonValue | undefined): boolean {
  if (!Array.isArray(content)) return false
  return content.some((part: JsonValue) => isObject(part) && (!isText(part) || holdsMedia(part.content)))
}

/** A message without its media, and how many it contained. */
export function withoutMedia(message: JsonValue): { readonly text: JsonValue; readonly media: number } {
  if (firstMediaAt([message]) === -1 || !isObject(message)) return { text: message, media: 0 }
  let media = 0
  const strip = (content: JsonValue | undefined): JsonValue | undefined => {
    if (!Array.isArray(content)) return content
    const parts = content as readonly JsonValue[]
    const kept = parts.filter((part) => !isObject(part) || isText(part))
    media += parts.length - kept.length
    return kept.map((part) =>
      isObject(part) && Array.isArray(part.content) ? { ...part, content: strip(part.content) } : part,
    )
  }
  const stripped = partFields.map((field) => [field, strip(message[field])] as const)
  return { text: { ...message, ...Object.fromEntries(stripped) }, media }
}
