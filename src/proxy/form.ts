// Reads the text fields of a form with files (multipart/form-data), so that they are checked like the fields of a JSON body. Only the plain
// form that HTTP clients write is accepted: with anything else, cwm and the engine's parser could read different fields. The bytes are
// forwarded as they came. See docs/decisions/0021.

import { CwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'

/** Fields and files of one form. Clients of audio send about ten. */
const MAX_PARTS = 100
/** Headers of one part. */
const MAX_HEADER_BYTES = 1_024
/** All text fields together. The longest is a prompt for the transcription. */
const MAX_TEXT_BYTES = 256 * 1024

const BOUNDARY =
  /^multipart\/form-data\s*;\s*boundary=(?:"([A-Za-z0-9'()+_,./:=?-]{1,70})"|([A-Za-z0-9'()+_,./:=?-]{1,70}))\s*$/i
const DISPOSITION =
  /^content-disposition: form-data; name="([A-Za-z0-9_.-]{1,100}(?:\[\])?)"(; filename="[^"\\\r\n\0]*")?$/i
/** A charset or a transfer encoding would give a text another meaning. */
const OTHER_HEADER = /^(content-type: [a-z0-9.+-]+\/[a-z0-9.+-]+|content-length: [0-9]+)$/i

/** The only field that may be a file. */
const FILE_FIELD = 'file'

/**
 * The text fields of a form by name; those whose name ends with `[]` as lists. Throws `UNSUPPORTED_MEDIA_TYPE` for another type of body, and
 * `INVALID_FIELD` for any form that parsers might read in different ways.
 */
export function readForm(contentType: string | undefined, bytes: Buffer): JsonObject {
  const [, quoted, plain] = BOUNDARY.exec(contentType?.trim() ?? '') ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) {
    throw new CwmError(
      'UNSUPPORTED_MEDIA_TYPE',
      'send the body as multipart/form-data with a boundary and no other parameter',
      {
        param: 'content-type',
      },
    )
  }
  const fields = new Map<string, string | string[]>()
  let textBytes = 0
  for (const { name, isFile, content } of partsOf(bytes, boundary)) {
    if (isFile !== (name === FILE_FIELD)) {
      throw malformed(
        isFile ? `the field ${name} must be text, without a filename` : 'the field file must have a filename',
      )
    }
    if (isFile) continue
    textBytes += content.length
    if (textBytes > MAX_TEXT_BYTES) throw malformed(`its text fields have more than ${MAX_TEXT_BYTES} bytes`)
    add(fields, name, content.toString('utf8'))
  }
  return Object.fromEntries(fields)
}

function add(fields: Map<string, string | string[]>, name: string, text: string): void {
  const known = fields.get(name)
  if (name.endsWith('[]')) fields.set(name, [...(Array.isArray(known) ? known : []), text])
  else if (known === undefined) fields.set(name, text)
  else throw malformed(`it has the field ${name} more than once`)
}

interface Part {
  readonly name: string
  readonly isFile: boolean
  readonly content: Buffer
}

function* partsOf(bytes: Buffer, boundary: string): Generator<Part> {
  const first = Buffer.from(`--${boundary}\r\n`)
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  if (!bytes.subarray(0, first.length).equals(first)) throw malformed('it does not begin with its boundary')
  let at = first.length
  for (let count = 1; ; count++) {
    if (count > MAX_PARTS) throw malformed(`it has more than ${MAX_PARTS} parts`)
    const end = bytes.indexOf(delimiter, at - 2)
    if (end === -1) throw malformed('it does not end with its boundary')
    yield partOf(bytes.subarray(at, Math.max(at, end)))
    const after = end + delimiter.length
    const mark = bytes.toString('latin1', after, after + 2)
    at = after + 2
    if (mark === '\r\n') continue
    const rest = bytes.toString('latin1', at, at + 3)
    if (mark === '--' && (rest === '' || rest === '\r\n')) return
    throw malformed('it has data on the line of a boundary')
  }
}

function partOf(part: Buffer): Part {
  const end = part.indexOf('\r\n\r\n')
  if (end === -1 || end > MAX_HEADER_BYTES) throw malformed('a part has no headers, or long ones')
  const [disposition = '', ...others] = part.toString('latin1', 0, end).split('\r\n')
  const [, name, filename] = DISPOSITION.exec(disposition) ?? []
  if (name === undefined || others.some((line) => !OTHER_HEADER.test(line))) {
    throw malformed('a part has other headers than a Content-Disposition with a plain name, and a Content-Type')
  }
  return { name, isFile: filename !== undefined, content: part.subarray(end + 4) }
}

function malformed(what: string): CwmError {
  return new CwmError('INVALID_FIELD', `this form is rejected: ${what}; send it as curl -F or an SDK would`, {
    param: 'body',
  })
}
