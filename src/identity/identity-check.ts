// Validates user and session ids that are not strings: a number that JSON parsers may confuse with another must not identify anyone.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { RawObject } from '../dialects/raw-json.ts'
import { identityFields, identityMetadata } from './identity-fields.ts'

/** Maximum bytes of a non-string id; lists and objects used as ids are small. */
const MAX_ID_BYTES = 16 * 1024

/**
 * Throws `INVALID_FIELD` for a user or session id with a number that JavaScript rounds (9007199254740993 becomes its neighbor) or that has
 * another spelling (`1.0`, `1e3`), and for an id that is not a string and too long. Most ids are strings and cost one type check. `raw` is
 * what `body` was parsed from.
 */
export function checkIdentity(raw: RawObject, body: JsonObject): void {
  for (const field of identityFields) {
    if (needsCheck(body[field])) checkId(raw, field, field)
  }
  const { metadata } = body
  if (!isObject(metadata)) return
  for (const field of identityMetadata) {
    if (!needsCheck(metadata[field])) continue
    const span = raw.find('metadata')
    if (span !== undefined) checkId(new RawObject(raw.bytes.subarray(span.start, span.end)), field, `metadata.${field}`)
  }
}

function needsCheck(value: JsonValue | undefined): boolean {
  return typeof value === 'number' || (typeof value === 'object' && value !== null)
}

function checkId(raw: RawObject, field: string, param: string): void {
  const span = raw.find(field)
  if (span === undefined) return
  if (span.end - span.start > MAX_ID_BYTES) {
    throw new CwmError(
      'INVALID_FIELD',
      `\`${param}\` has ${span.end - span.start} bytes; an id that is not a string may have at most ${MAX_ID_BYTES}`,
      {
        param,
      },
    )
  }
  const text = raw.bytes.toString('utf8', span.start, span.end)
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*/g)) {
    if (token.startsWith('"') || JSON.stringify(Number(token)) === token) continue
    throw new CwmError(
      'INVALID_FIELD',
      `\`${param}\` contains the number ${token.slice(0, 40)}, which JSON parsers may round or rewrite into another id; send it as a string`,
      { param },
    )
  }
}
