// The scope within which a message prefix identifies a conversation: tenant, dialect, and every coarser id that the client sent.
// Such an id only narrows the scope and never names a session: one chat id may cover the chat and its title call.

import type { IncomingHttpHeaders } from 'node:http'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { identityFields, identityMetadata, isMissing } from './identity-fields.ts'
import { canonicalJson } from './identity-text.ts'
import { narrowingHeaders } from './known-clients.ts'

/** Incremented when the canonical form of messages changes; old boundaries then never match. */
const SCHEME_VERSION = 2

/** A text that two requests share exactly if their histories may be compared. JSON keeps its parts separate. */
export function scopeOf(tenant: string, dialect: Dialect, headers: IncomingHttpHeaders, body: JsonObject): string {
  const parts: Part[] = []
  for (const name of narrowingHeaders) {
    const value = headers[name]
    if (typeof value === 'string' && value !== '') parts.push([name, value])
  }
  for (const field of identityFields) {
    const value = body[field]
    if (!isMissing(value)) parts.push(partOf(`body.${field}`, value))
  }
  const metadata = body.metadata
  if (isObject(metadata)) {
    for (const field of identityMetadata) {
      const value = metadata[field]
      if (!isMissing(value)) parts.push(partOf(`metadata.${field}`, value))
    }
  }
  // Most clients send none, and concatenating constants is cheaper than serializing.
  const begin = `[${SCHEME_VERSION},${JSON.stringify(tenant)},"${dialect}",`
  return parts.length === 0 ? `${begin}[]]` : `${begin}${JSON.stringify(parts)}]`
}

/** A string is kept as sent, in a part of two; any other value makes a part of three, so that `1` differs from `"1"`. */
type Part = readonly [name: string, text: string] | readonly [name: string, kind: 'json', canonical: string]

function partOf(name: string, value: JsonValue): Part {
  return typeof value === 'string' ? [name, value] : [name, 'json', canonicalJson(value)]
}

/** Whether the scope contains an id from the client, and so covers less than everything a tenant sends in a dialect. */
export function isNarrowed(scope: string): boolean {
  return !scope.endsWith(',[]]')
}
