// Turns a value by which a client names a user or a conversation into text, whatever its JSON type. Distinct values give distinct texts.

import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue } from '../base/json.ts'

/** Longer texts are hashed: they are compared, never shown. */
const MAX_TEXT = 512

/**
 * JSON with sorted keys and without spaces; its SHA-256 if that is long. For values other than strings, which are used as they are.
 * Numbers are distinguished as JavaScript does; the proxy rejects those that JavaScript rounds.
 */
export function canonicalJson(value: JsonValue): string {
  const text = sortedJson(value)
  return text.length <= MAX_TEXT ? text : `sha256:${createHash('sha256').update(text).digest('base64url')}`
}

function sortedJson(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(sortedJson).join(',')}]`
  const object = value as JsonObject
  const members = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${sortedJson(object[key] ?? null)}`)
  return `{${members.join(',')}}`
}
