// The opening of a session, before its first user message: system prompts and tools. Sessions of one tenant often have the same opening.
// Each computes it again, because they share no KV.

import { hash } from 'node:crypto'
import { isPresent, type JsonObject } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { outerSystemOf } from './window-before.ts'

export interface Opening {
  /** Equal for equal openings. Reveals nothing about their text, and is kept in memory only. */
  readonly digest: string
  /** Its part of the body's bytes, 0 to 1. */
  readonly share: number
}

/** Bytes of a body. Hashing a larger opening would block all other requests for more than a few milliseconds. */
const MAX_BODY_BYTES = 1_048_576

/** Undefined if there is none, or the body is too large. Its cost grows with the opening, so call it for first turns only. */
export function openingOf(json: JsonObject, rules: DialectRules, bodyBytes: number): Opening | undefined {
  if (rules.messagesField === undefined || bodyBytes > MAX_BODY_BYTES) return undefined
  const messages = rules.readMessages(json)
  const end = messages.findIndex((message) => !rules.isSystem(message))
  const system = [...outerSystemOf(json, rules), ...messages.slice(0, end < 0 ? messages.length : end)]
  const tools = rules.vocabulary.toolFields.map((field) => json[field]).filter(isPresent)
  if (system.length + tools.length === 0) return undefined
  const text = JSON.stringify([tools, system])
  const share = Math.min(1, Buffer.byteLength(text) / Math.max(1, bodyBytes))
  return { digest: hash('sha256', text, 'base64url'), share }
}
