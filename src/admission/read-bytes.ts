// Receives request bodies, within limits of size, memory and time.

import type { IncomingMessage } from 'node:http'
import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
import { ReadingPace } from '../base/pace-reading.ts'
import type { ArrivalLimits, ArrivingBodies, ArrivingBody } from './arriving-bodies.ts'
import type { ByteReservation } from './byte-reservation.ts'

/** Free bytes before each body, so that the salt and the request for usage are added without copying the rest. */
export const HEADROOM_BYTES = 256

/** The first buffer of a body whose length is announced holds all of it up to this size. Once more has arrived, the next buffer does. */
const FIRST_ANNOUNCED_BYTES = 1024 * 1024
/** The first buffer of any other body, and how much larger each next one is. */
const FIRST_BYTES = 64 * 1024
const GROWTH = 4

/** How a body is received. */
export interface ReceiveOptions {
  readonly maxBytes: number
  /** The setting that `maxBytes` comes from, for the error message. Undefined: it is fixed. */
  readonly setting?: string | undefined
  /** Charged with the bytes that have arrived. */
  readonly held?: Pick<ByteReservation, 'set'> | undefined
  readonly arriving?: Pick<ArrivingBodies, 'add' | 'delete'> | undefined
}

/**
 * Reads the body into a new buffer, with `HEADROOM_BYTES` before it. Throws `BODY_TOO_LARGE` as soon as that is known (before reading, if
 * the announced length is too large), `OVERLOADED` over the budget, `BODY_TIMEOUT` if it arrives too slowly, and `CLIENT_GONE` if the client
 * leaves or the body is shorter than announced.
 */
export function readBytes(request: IncomingMessage, options: ReceiveOptions): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    const announced = Number(request.headers['content-length'] ?? 0)
    if (announced > options.maxBytes) throw tooLarge(options.maxBytes, options.setting)
    const body = new Receiving(request, announced, options, reject)
    request.once('end', () => resolve(body.take()))
    request.once('error', () => body.stop(gone()))
    request.once('close', () => {
      if (!request.complete) body.stop(gone())
    })
  })
}

/**
 * Copies a body out of the socket's large blocks as it arrives, because a retained body would retain those. An announcement alone costs
 * nothing, and bytes that have not arrived are memory that is not resident. Each buffer that is outgrown is copied once more.
 */
class Receiving implements ArrivingBody {
  readonly since = performance.now()
  readonly #request: IncomingMessage
  readonly #announced: number
  readonly #options: ReceiveOptions
  readonly #reject: (error: CwmError) => void
  readonly #onData = (chunk: Buffer) => this.#add(chunk)
  readonly #pace: ReadingPace
  #buffer: Buffer | undefined
  length = 0

  constructor(request: IncomingMessage, announced: number, options: ReceiveOptions, reject: (error: CwmError) => void) {
    this.#request = request
    this.#announced = announced
    this.#options = options
    this.#reject = reject
    this.#pace = new ReadingPace(request)
    options.arriving?.add(this)
    request.on('data', this.#onData)
  }

  /** The complete body. It is as long as announced, because Node's parser rejects others. */
  take(): Buffer {
    this.#options.arriving?.delete(this)
    const buffer = this.#buffer ?? Buffer.allocUnsafeSlow(HEADROOM_BYTES)
    const end = HEADROOM_BYTES + this.length
    // Without an announced length, the buffer may be much larger than the body, and a retained body would retain all of it.
    return (end < buffer.length / 2 ? copyOf(buffer.subarray(0, end), end) : buffer).subarray(HEADROOM_BYTES, end)
  }

  stop(error: CwmError): void {
    this.#options.arriving?.delete(this)
    this.#request.off('data', this.#onData)
    this.#buffer = undefined
    this.#reject(error)
  }

  giveUp({ graceMs, minBytesPerSecond }: ArrivalLimits): void {
    this.stop(
      new CwmError(
        'BODY_TIMEOUT',
        `the request body arrives too slowly, ${this.length} bytes so far: after ${graceMs} ms (setting body_grace_ms) it must average ${minBytesPerSecond} bytes per second (setting min_body_bytes_per_second); send the whole body at once`,
      ),
    )
  }

  #add(chunk: Buffer): void {
    const { maxBytes, setting, held } = this.#options
    try {
      const length = this.length + chunk.length
      if (length > maxBytes) throw tooLarge(maxBytes, setting)
      held?.set(length)
      chunk.copy(this.#space(HEADROOM_BYTES + length), HEADROOM_BYTES + this.length)
      this.length = length
      this.#pace.count(chunk.length)
    } catch (error) {
      this.stop(toCwmError(error))
    }
  }

  /** The buffer, grown to at least `bytes`. */
  #space(bytes: number): Buffer {
    const buffer = this.#buffer
    if (buffer !== undefined && buffer.length >= bytes) return buffer
    const size = Math.max(bytes, this.#announced === 0 ? this.#sizeOfUnknown(buffer) : this.#sizeOfAnnounced(buffer))
    this.#buffer = buffer === undefined ? Buffer.allocUnsafeSlow(size) : copyOf(buffer, size)
    return this.#buffer
  }

  #sizeOfAnnounced(buffer: Buffer | undefined): number {
    const whole = HEADROOM_BYTES + this.#announced
    return buffer === undefined ? Math.min(whole, FIRST_ANNOUNCED_BYTES) : whole
  }

  #sizeOfUnknown(buffer: Buffer | undefined): number {
    const most = HEADROOM_BYTES + this.#options.maxBytes
    return Math.min(most, buffer === undefined ? FIRST_BYTES : GROWTH * buffer.length)
  }
}

function copyOf(bytes: Buffer, size: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(size)
  bytes.copy(copy)
  return copy
}

function gone(): CwmError {
  return clientGone('its request was complete')
}

/** Whether a request announces a body. An empty one counts as none. */
export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0)
}

/** The error for a body over the limit. */
export function tooLarge(maxBytes: number, setting?: string): CwmError {
  const hint = setting === undefined ? '' : ` (setting ${setting})`
  return new CwmError('BODY_TOO_LARGE', `the request body is larger than ${maxBytes} bytes${hint}`, {
    bound: 'body_bytes',
  })
}
