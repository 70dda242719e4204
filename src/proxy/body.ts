// Decodes and parses request bodies, within limits. Strict, because cwm and the engine must understand the same.

import type { IncomingMessage } from 'node:http'
import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { ByteReservation } from '../admission/byte-reservation.ts'
import { HEADROOM_BYTES, tooLarge } from '../admission/read-bytes.ts'
import { CwmError } from '../base/errors.ts'
import type { Requester } from '../base/fair-turns.ts'
import type { JsonObject } from '../base/json.ts'
import { type JsonBodies, requireObject } from '../base/json-bodies.ts'
import { yieldAfter } from '../base/yield-after.ts'

const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
} as const

/** Any ratio is allowed up to this unpacked size, because short bodies often repeat the same few bytes. */
const ANY_RATIO_BYTES = 4 * 1024 * 1024

/** Limits of request bodies. */
export interface BodyLimits {
  readonly maxBodyBytes: number
  /** Unpacked bytes allowed per compressed byte, beyond the first 4 MiB. */
  readonly maxUnpackedRatio: number
}

/** A parsed JSON body. */
export interface ReadBody {
  readonly bytes: Buffer
  readonly json: JsonObject
  /** Number of free bytes before `bytes` in the same buffer. */
  readonly room: number
}

/** Throws `UNSUPPORTED_MEDIA_TYPE` unless the body's `Content-Type` is JSON or absent. */
export function requireJsonType({ headers }: Pick<IncomingMessage, 'headers'>): void {
  const type = headers['content-type']
  if (type === undefined || /^application\/([a-z0-9.+-]+\+)?json\b/i.test(type.trim())) return
  throw new CwmError('UNSUPPORTED_MEDIA_TYPE', 'send the body as application/json', { param: 'content-type' })
}

/** Decodes and parses a JSON body. Throws what `decodeBytes` and `JsonBodies.parse` throw. */
export async function parseBody(
  received: Buffer,
  encoding: string | undefined,
  limits: BodyLimits,
  bodies: Pick<JsonBodies, 'parse'>,
  held: ByteReservation,
  requester: Requester,
): Promise<ReadBody> {
  const bytes = encoding === undefined ? received : await decodeBytes(received, encoding, limits, held)
  const json = requireObject(await bodies.parse(bytes, requester))
  await yieldAfter(bytes)
  return { bytes, json, room: encoding === undefined ? HEADROOM_BYTES : 0 }
}

/**
 * Decodes one `Content-Encoding`; a second one would multiply the ratio of the first. Throws `UNSUPPORTED_ENCODING`, `BODY_TOO_LARGE` if the
 * body unpacks beyond a limit, or `OVERLOADED`.
 */
export async function decodeBytes(
  bytes: Buffer,
  encoding: string,
  limits: BodyLimits,
  held?: ByteReservation,
): Promise<Buffer> {
  const names = encoding
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity')
  const [name, ...others] = names
  if (name === undefined) return bytes
  const decode = Object.hasOwn(decoders, name) ? decoders[name as keyof typeof decoders] : undefined
  if (decode === undefined || others.length > 0) {
    throw new CwmError(
      'UNSUPPORTED_ENCODING',
      others.length > 0
        ? `the body has ${names.length} content-encodings; send one of gzip, deflate, br, or none`
        : 'this content-encoding is not supported; send gzip, deflate, br or none',
      { param: 'content-encoding' },
    )
  }
  try {
    const decoded = await unpack(decode(), bytes, limits, held)
    held?.set(decoded.length)
    return decoded
  } catch (cause) {
    if (cause instanceof CwmError) throw cause
    throw new CwmError('UNSUPPORTED_ENCODING', `the request body is not valid ${name}`, {
      param: 'content-encoding',
      cause,
    })
  }
}

/** Counted while it grows, because a client may send a thousandth of it, and many may do so at once. */
async function unpack(
  decoder: Transform,
  bytes: Buffer,
  { maxBodyBytes, maxUnpackedRatio }: BodyLimits,
  held?: ByteReservation,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  const densest = Math.max(ANY_RATIO_BYTES, bytes.length * maxUnpackedRatio)
  decoder.end(bytes)
  for await (const chunk of decoder as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBodyBytes) throw tooLarge(maxBodyBytes, 'max_body_bytes')
    if (length > densest) throw tooDense(bytes.length, length, maxUnpackedRatio)
    held?.set(bytes.length + length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function tooDense(sent: number, unpacked: number, maxRatio: number): CwmError {
  return new CwmError(
    'BODY_TOO_LARGE',
    `the request body unpacks from ${sent} bytes to at least ${unpacked}; beyond 4 MiB the ratio may be at most ${maxRatio} (setting max_unpacked_ratio)`,
    { param: 'content-encoding', bound: 'unpacked_ratio' },
  )
}
