// Reads the bodies of forwarded requests: as JSON, as a form, or as bytes. Each is received whole before anything is forwarded, because one
// that never ends would occupy a connection of the engine.

import type { IncomingMessage } from 'node:http'
import type { Admission } from '../admission/admission.ts'
import type { ArrivingBodies } from '../admission/arriving-bodies.ts'
import type { ByteReservation } from '../admission/byte-reservation.ts'
import { hasBody, type ReceiveOptions, readBytes } from '../admission/read-bytes.ts'
import type { JsonBodies } from '../base/json-bodies.ts'
import type { RequestScope } from '../base/request-scope.ts'
import { inPhase } from '../base/request-trace.ts'
import type { Caller } from '../base/tenants.ts'
import { type BodyLimits, decodeBytes, parseBody, type ReadBody, requireJsonType } from './body.ts'
import { readForm } from './form.ts'

export interface BodyReaderParts {
  readonly admission: Pick<Admission, 'enter'>
  readonly arriving: ArrivingBodies
  readonly json: Pick<JsonBodies, 'parse'>
}

/** Its methods acquire the request's slot, and charge the body to `held`. They throw what `readBytes` and `Admission.enter` throw. */
export class BodyReader {
  readonly #parts: BodyReaderParts
  readonly #limits: BodyLimits

  constructor(parts: BodyReaderParts, limits: BodyLimits) {
    this.#parts = parts
    this.#limits = limits
  }

  /** Reads one JSON object. */
  async readJson(
    request: IncomingMessage,
    scope: RequestScope,
    caller: Caller,
    held: ByteReservation,
  ): Promise<ReadBody> {
    requireJsonType(request)
    const received = await this.#receive(request, scope, caller, held)
    const requester = { sharer: caller.sharer, scope }
    const encoding = request.headers['content-encoding']
    return await parseBody(received, encoding, this.#limits, this.#parts.json, held, requester)
  }

  /** Reads a form with files. `json` has its text fields. */
  async readForm(
    request: IncomingMessage,
    scope: RequestScope,
    caller: Caller,
    held: ByteReservation,
  ): Promise<ReadBody & { readonly jsonBytes: Buffer }> {
    const bytes = await this.readDecoded(request, scope, caller, held)
    const json = readForm(request.headers['content-type'], bytes)
    return { bytes, json, jsonBytes: Buffer.from(JSON.stringify(json)), room: 0 }
  }

  /** Reads a body of any type, without its content coding. */
  async readDecoded(
    request: IncomingMessage,
    scope: RequestScope,
    caller: Caller,
    held: ByteReservation,
  ): Promise<Buffer> {
    const received = await this.#receive(request, scope, caller, held)
    const encoding = request.headers['content-encoding']
    return encoding === undefined ? received : await decodeBytes(received, encoding, this.#limits, held)
  }

  /**
   * Reads the body as it was sent, then acquires a slot. In this order, a client that announces a body and does not send it holds no slot.
   * Requests without a body skip the queue: health checks must not wait.
   */
  async #receive(
    request: IncomingMessage,
    scope: RequestScope,
    caller: Caller,
    held: ByteReservation,
  ): Promise<Buffer> {
    const { admission, arriving } = this.#parts
    const options: ReceiveOptions = { maxBytes: this.#limits.maxBodyBytes, setting: 'max_body_bytes', held, arriving }
    const received = await readBytes(request, options)
    const entered = hasBody(request) ? admission.enter(caller, scope) : undefined
    if (entered !== undefined) await inPhase(scope.trace, 'queue', () => entered)
    return received
  }
}
