// A request body, read whole and bounded, decoded and parsed: strict, because what cwm and the engine understand must be the same.

import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { type Readable, Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { CwmError, toCwmError } from '../base/errors.ts'
import { isDeeperThan, isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { textOf } from '../base/utf8.ts'
import type { HeldBody } from './body-budget.ts'

const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
} as const

/** Before each body: a salt and a request for usage fit, so that they go in without a copy of the rest. */
export const ROOM_BYTES = 256

/** Engines' parsers give up at about 200 levels (jiter, which pydantic uses); no tool schema comes near. */
export const MAX_DEPTH = 128

/**
 * Reads the body, into a buffer of its own that has `ROOM_BYTES` before it. Throws `BODY_TOO_LARGE` as soon as it is known to be
 * (before reading, if the length says so), `OVERLOADED` when there is no room for it, `CLIENT_GONE` when the client leaves or its body
 * ends before its announced length.
 */
export async function readBytes(request: IncomingMessage, maxBytes: number, held?: HeldBody): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > maxBytes) throw tooLarge(maxBytes)
  held?.set(announced)
  const chunks: Buffer[] = []
  let length = 0
  return await new Promise<Buffer>((resolve, reject) => {
    const stop = (error: CwmError) => {
      request.off('data', onData)
      reject(error)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      try {
        if (length > maxBytes) throw tooLarge(maxBytes)
        if (length > announced) held?.set(length)
        chunks.push(chunk)
      } catch (error) {
        stop(toCwmError(error))
      }
    }
    request.on('data', onData)
    request.once('end', () => resolve(joined(chunks, length)))
    request.once('error', () => stop(gone()))
    request.once('close', () => {
      if (!request.complete) stop(gone())
    })
  })
}

/** Copied out of the socket's own large blocks, which a body that is kept would keep whole; with room before it for what is put in. */
function joined(chunks: readonly Buffer[], length: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(ROOM_BYTES + length)
  let at = ROOM_BYTES
  for (const chunk of chunks) at += chunk.copy(whole, at)
  return whole.subarray(ROOM_BYTES)
}

function gone(): CwmError {
  return new CwmError('CLIENT_GONE', 'the client left before its request was complete')
}

/** Whether a request says that it has a body; one of no bytes is none. */
export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0)
}

/** A body of JSON. */
export interface ReadBody {
  readonly bytes: Buffer
  readonly json: JsonObject
  /** How many bytes before `bytes`, in their own buffer, are free. */
  readonly room: number
}

/** Reads a body that is JSON, and must say so if it says anything. Throws as the functions below, and `UNSUPPORTED_MEDIA_TYPE`. */
export async function readJson(request: IncomingMessage, maxBytes: number, held: HeldBody): Promise<ReadBody> {
  const type = request.headers['content-type']
  if (type !== undefined && !/^application\/([a-z0-9.+-]+\+)?json\b/i.test(type.trim())) {
    throw new CwmError('UNSUPPORTED_MEDIA_TYPE', 'send the body as application/json', { param: 'content-type' })
  }
  const raw = await readBytes(request, maxBytes, held)
  const encoding = request.headers['content-encoding']
  const bytes = encoding === undefined ? raw : await decodeBytes(raw, encoding, maxBytes, held)
  return { bytes, json: parseBody(bytes), room: bytes === raw ? ROOM_BYTES : 0 }
}

/** The error for a body over the bound. */
export function tooLarge(maxBytes: number): CwmError {
  return new CwmError('BODY_TOO_LARGE', `the request body is larger than ${maxBytes} bytes (setting max_body_bytes)`)
}

/** A body that passes unread, and breaks with `BODY_TOO_LARGE` where it goes over the bound. */
export function bounded(request: IncomingMessage, maxBytes: number): Readable {
  let length = 0
  const counter = new Transform({
    transform(chunk: Buffer, _, done) {
      length += chunk.length
      if (length > maxBytes) done(tooLarge(maxBytes))
      else done(null, chunk)
    },
  })
  // undici hears of an error while it reads. When it has done with the body nobody listens any more, and a client that leaves then
  // would end the process.
  counter.on('error', () => {})
  // By whatever cause: Node's own word for it, an aborted socket, would be taken for a failure of cwm's.
  request.once('error', () => counter.destroy(gone()))
  request.once('close', () => {
    if (!request.complete) counter.destroy(gone())
  })
  return request.pipe(counter)
}

/** Undoes `Content-Encoding`. Throws `UNSUPPORTED_ENCODING`, `BODY_TOO_LARGE` for what unpacks beyond the bound, or `OVERLOADED`. */
export async function decodeBytes(bytes: Buffer, encoding: string, maxBytes: number, held?: HeldBody): Promise<Buffer> {
  let decoded = bytes
  const names = encoding
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity')
  for (const name of names.reverse()) {
    const decode = Object.hasOwn(decoders, name) ? decoders[name as keyof typeof decoders] : undefined
    if (decode === undefined || names.length > 2) {
      throw new CwmError(
        'UNSUPPORTED_ENCODING',
        'this content-encoding is not supported; send gzip, deflate, br or none, two of them at most',
        {
          param: 'content-encoding',
        },
      )
    }
    try {
      decoded = await unpack(decode(), decoded, maxBytes, held)
    } catch (cause) {
      if (cause instanceof CwmError) throw cause
      throw new CwmError('UNSUPPORTED_ENCODING', `the request body is not valid ${name}`, {
        param: 'content-encoding',
        cause,
      })
    }
  }
  held?.set(decoded.length)
  return decoded
}

/** Counted as it grows: a thousandth of it may have been sent, and many may do that at once. */
async function unpack(decoder: Transform, bytes: Buffer, maxBytes: number, held?: HeldBody): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  decoder.end(bytes)
  for await (const chunk of decoder as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw tooLarge(maxBytes)
    held?.set(bytes.length + length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Parses a body that must be one JSON object in strict UTF-8. Throws `INVALID_UTF8`, `INVALID_JSON` or `BODY_TOO_DEEP`. */
export function parseBody(bytes: Buffer): JsonObject {
  if (!isUtf8(bytes)) throw new CwmError('INVALID_UTF8', 'the request body is not valid UTF-8', { param: 'body' })
  let value: JsonValue
  try {
    value = JSON.parse(textOf(bytes)) as JsonValue
  } catch (cause) {
    throw new CwmError('INVALID_JSON', `the request body is not valid JSON${placeOf(cause)}`, { param: 'body' })
  }
  if (!isObject(value)) throw new CwmError('INVALID_JSON', 'the request body must be a JSON object', { param: 'body' })
  if (isDeeperThan(value, MAX_DEPTH)) {
    throw new CwmError('BODY_TOO_DEEP', `the request body is nested deeper than ${MAX_DEPTH} levels`, { param: 'body' })
  }
  return value
}

/** V8's message may quote the input, which is the client's prompt; only a position at the message's own end is taken from it. */
function placeOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : ''
  const position = / at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(text)?.[1]
  if (position !== undefined) return `: something is wrong at character ${position}`
  return text.startsWith('Unexpected end') ? ': it ends too early' : ''
}
