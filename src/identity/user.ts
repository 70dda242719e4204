// The user of a tenant's app, if the request names one. In isolation mode `user`, KV is shared per user.

import type { IncomingHttpHeaders } from 'node:http'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { isMissing } from './identity-fields.ts'
import { canonicalJson } from './identity-text.ts'
import { readClaudeCodeUser, userHeaders } from './known-clients.ts'

/** Prefix of every user that is not the client's own string, so that no string can be mistaken for one. */
const TAG = '\u0000'

/**
 * Read from OpenAI's `safety_identifier` or its predecessor `user`, Anthropic's `metadata.user_id`, and known clients' headers; undefined if
 * none is set. For Claude Code it is the account (or device), which is constant across conversations.
 */
export function userOf(headers: IncomingHttpHeaders, body: JsonObject): string | undefined {
  const named = userOfBody(body)
  let parts: [string, string][] | undefined
  for (const name of userHeaders) {
    const value = headers[name]
    if (typeof value !== 'string' || value === '') continue
    parts ??= []
    parts.push([name, value])
  }
  if (parts === undefined) return named
  // An app may send one constant `user` for everyone and name the person in a header, so both count.
  if (named !== undefined) parts.push(['body', named])
  return `${TAG}headers:${JSON.stringify(parts)}`
}

function userOfBody({ safety_identifier, user, metadata }: JsonObject): string | undefined {
  const userId = isObject(metadata) ? metadata.user_id : undefined
  const given: [string, string][] = []
  if (!isMissing(safety_identifier)) given.push(['safety_identifier', userText(safety_identifier)])
  if (!isMissing(user)) given.push(['user', userText(user)])
  if (!isMissing(userId)) given.push(['metadata.user_id', userOfMetadata(userId)])
  // An app may send one constant in one field and name the person in another, so all of them count.
  return given.length > 1 ? `${TAG}fields:${JSON.stringify(given)}` : given[0]?.[1]
}

function userOfMetadata(userId: JsonValue): string {
  const claudeCode = typeof userId === 'string' ? readClaudeCodeUser(userId)?.user : undefined
  return claudeCode === undefined ? userText(userId) : `${TAG}claude-code:${claudeCode}`
}

function userText(value: JsonValue): string {
  if (typeof value !== 'string') return `${TAG}json:${canonicalJson(value)}`
  return value.startsWith(TAG) ? `${TAG}text:${value}` : value
}
