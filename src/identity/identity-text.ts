// Converts a client's user or conversation id of any JSON type to text. Distinct values give distinct texts.

import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue } from '../base/json.ts'

/** Longer texts are hashed: they are compared, never displayed. */
const MAX_TEXT = 512

/**
 * JSON with sorted keys and without spaces, or its SHA-256 if that is long. For non-string values; strings are used unchanged.
 * Numbers are distinguished as in JavaScript; the proxy rejects those that JavaScript rounds.
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
