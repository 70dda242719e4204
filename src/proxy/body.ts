// Reads request bodies completely and within limits, decodes and parses them. Strict, because cwm and the engine must understand the same.

import type { IncomingMessage } from 'node:http'
import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { BodyReservation } from '../admission/body-budget.ts'
import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
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

/** Free bytes before each body, so that the salt and the request for usage are added without copying the rest. */
export const HEADROOM_BYTES = 256

/** Any ratio is allowed up to this unpacked size, because short bodies often repeat the same few bytes. */
const ANY_RATIO_BYTES = 4 * 1024 * 1024

/** Limits of request bodies. */
export interface BodyLimits {
  readonly maxBodyBytes: number
  /** Unpacked bytes allowed per compressed byte, beyond the first 4 MiB. */
  readonly maxUnpackedRatio: number
}

/**
 * Reads the body into a buffer of its own, with `HEADROOM_BYTES` before it. Throws `BODY_TOO_LARGE` as soon as that is known (before reading, if
 * the announced length is too large), `OVERLOADED` over the budget, and `CLIENT_GONE` if the client leaves or the body is shorter than
 * announced.
 */
export function readBytes(request: IncomingMessage, maxBytes: number, held?: BodyReservation): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    const announced = Number(request.headers['content-length'] ?? 0)
    if (announced > maxBytes) throw tooLarge(maxBytes)
    held?.set(announced)
    const body = new BodyBytes(announced)
    const stop = (error: CwmError) => {
      request.off('data', onData)
      reject(error)
    }
    const onData = (chunk: Buffer) => {
      try {
        const length = body.length + chunk.length
        if (length > maxBytes) throw tooLarge(maxBytes)
        if (length > announced) held?.set(length)
        body.add(chunk)
      } catch (error) {
        stop(toCwmError(error))
      }
    }
    request.on('data', onData)
    request.once('end', () => resolve(body.take()))
    request.once('error', () => stop(gone()))
    request.once('close', () => {
      if (!request.complete) stop(gone())
    })
  })
}

/**
 * Copies a body out of the socket's large blocks, because a retained body would retain those. Leaves free bytes before it. With an announced
 * length, chunks are copied as they arrive, so that the blocks do not double the memory. Memory that is not written to yet is not resident,
 * so announcing a length costs none.
 */
class BodyBytes {
  readonly #announced: number
  #whole: Buffer | undefined
  #chunks: Buffer[] = []
  length = 0

  constructor(announced: number) {
    this.#announced = announced
    if (announced > 0) this.#whole = Buffer.allocUnsafeSlow(HEADROOM_BYTES + announced)
  }

  add(chunk: Buffer): void {
    if (this.#whole === undefined) this.#chunks.push(chunk)
    else chunk.copy(this.#whole, HEADROOM_BYTES + this.length)
    this.length += chunk.length
  }

  /** The complete body. It is as long as announced, because Node's parser rejects others. */
  take(): Buffer {
    if (this.#whole === undefined) return joined(this.#chunks, this.length)
    return this.#whole.subarray(HEADROOM_BYTES, HEADROOM_BYTES + Math.min(this.length, this.#announced))
  }
}

function joined(chunks: readonly Buffer[], length: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(HEADROOM_BYTES + length)
  let at = HEADROOM_BYTES
  for (const chunk of chunks) at += chunk.copy(whole, at)
  return whole.subarray(HEADROOM_BYTES)
}

function gone(): CwmError {
  return clientGone('its request was complete')
}

/** Whether a request announces a body. An empty one counts as none. */
export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0)
}

/** A parsed JSON body. */
export interface ReadBody {
  readonly bytes: Buffer
  readonly json: JsonObject
  /** Number of free bytes before `bytes` in the same buffer. */
  readonly room: number
}

/**
 * Reads a JSON body; its `Content-Type` must be JSON if there is one. Throws `UNSUPPORTED_MEDIA_TYPE`, and as the functions below and
 * `JsonBodies.parse`.
 */
export async function readJson(
  request: IncomingMessage,
  limits: BodyLimits,
  bodies: Pick<JsonBodies, 'parse'>,
  held: BodyReservation,
  requester: Requester,
): Promise<ReadBody> {
  const type = request.headers['content-type']
  if (type !== undefined && !/^application\/([a-z0-9.+-]+\+)?json\b/i.test(type.trim())) {
    throw new CwmError('UNSUPPORTED_MEDIA_TYPE', 'send the body as application/json', { param: 'content-type' })
  }
  const bytes = await readWhole(request, limits, held)
  const json = requireObject(await bodies.parse(bytes, requester))
  await yieldAfter(bytes)
  return { bytes, json, room: request.headers['content-encoding'] === undefined ? HEADROOM_BYTES : 0 }
}

/** Reads a complete body and decodes its `Content-Encoding`. Throws what `readBytes` and `decodeBytes` throw. */
export function readWhole(request: IncomingMessage, limits: BodyLimits, held: BodyReservation): Promise<Buffer> {
  const raw = readBytes(request, limits.maxBodyBytes, held)
  const encoding = request.headers['content-encoding']
  return encoding === undefined ? raw : raw.then((bytes) => decodeBytes(bytes, encoding, limits, held))
}

/** The error for a body over the limit. */
export function tooLarge(maxBytes: number): CwmError {
  return new CwmError('BODY_TOO_LARGE', `the request body is larger than ${maxBytes} bytes (setting max_body_bytes)`, {
    bound: 'body_bytes',
  })
}

/**
 * Decodes one `Content-Encoding`; a second one would multiply the ratio of the first. Throws `UNSUPPORTED_ENCODING`, `BODY_TOO_LARGE` if the
 * body unpacks beyond a limit, or `OVERLOADED`.
 */
export async function decodeBytes(
  bytes: Buffer,
  encoding: string,
  limits: BodyLimits,
  held?: BodyReservation,
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
  held?: BodyReservation,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  const densest = Math.max(ANY_RATIO_BYTES, bytes.length * maxUnpackedRatio)
  decoder.end(bytes)
  for await (const chunk of decoder as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBodyBytes) throw tooLarge(maxBodyBytes)
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
