// Ids of a body that are no text: what no reader of JSON tells apart from its neighbor must not say who somebody is.

import { CwmError } from '../base/errors.ts'
import { identityFields, identityMetadata } from '../base/identity-fields.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { RawObject } from './raw-json.ts'

/** Bytes of an id that is no text: a list or an object that names somebody is small. */
const MAX_ID_BYTES = 16 * 1024

/**
 * Throws `INVALID_FIELD` for a user or session id with a number that JavaScript rounds (9007199254740993, say: the neighbor's id after
 * rounding) or that is not written as JSON writers do (`1.0`, `1e3`), and for one that is no text and too long. Most ids are text, and
 * cost a look at their type. `raw` is what `body` was parsed from.
 */
export function checkIdentity(raw: RawObject, body: JsonObject): void {
  for (const field of identityFields) {
    if (needsLook(body[field])) checkId(raw, field, field)
  }
  const { metadata } = body
  if (!isObject(metadata)) return
  for (const field of identityMetadata) {
    if (!needsLook(metadata[field])) continue
    const span = raw.find('metadata')
    if (span !== undefined) checkId(new RawObject(raw.bytes.subarray(span.start, span.end)), field, `metadata.${field}`)
  }
}

function needsLook(value: JsonValue | undefined): boolean {
  return typeof value === 'number' || (typeof value === 'object' && value !== null)
}

function checkId(raw: RawObject, field: string, param: string): void {
  const span = raw.find(field)
  if (span === undefined) return
  if (span.end - span.start > MAX_ID_BYTES) {
    throw new CwmError('INVALID_FIELD', `\`${param}\` that is no text must be of at most ${MAX_ID_BYTES} bytes`, {
      param,
    })
  }
  const text = raw.bytes.toString('utf8', span.start, span.end)
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*/g)) {
    if (token.startsWith('"') || JSON.stringify(Number(token)) === token) continue
    throw new CwmError(
      'INVALID_FIELD',
      `\`${param}\` holds the number ${token.slice(0, 40)}, which readers of JSON round or write otherwise, so that another id could be taken for it; send it as text`,
      { param },
    )
  }
}
