// One retained turn: as it was kept, or compressed beside the event loop.

import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants } from 'node:zlib'
import type { JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { valueBytes } from './heap-size.ts'

/** A finished turn as it went to the upstream. The body holds the salt: it is parsed for its prompt and never shown. */
export interface RetainedTurn {
  readonly dialect: Dialect
  readonly body: Buffer
  /** The reply that was delivered (the first choice), as messages of the dialect. */
  readonly reply: readonly JsonValue[]
  readonly promptTokens: number | undefined
  readonly clientSalt: string | undefined
  /** Under which its KV lies, and the window that stood before it: the session may have moved on. */
  readonly lineage: string
  readonly parent: string | undefined
}

/** A turn's body and its reply as JSON, one behind the other, compressed. */
interface PackedTurn {
  readonly turn: Omit<RetainedTurn, 'body' | 'reply'>
  readonly bytes: Buffer
  readonly bodyBytes: number
  readonly wholeBytes: number
}

/** Beside body and reply: the session's key and the objects. */
const TURN_BYTES = 512
/** A turn stays as it is if compression leaves more of it than this share. */
const WORTHWHILE_SHARE = 0.9
/** Of zlib's output at a time: each part costs a round through the thread pool. */
const OUTPUT_BYTES = 256 * 1024
/** The fastest but one: 10% smaller than the fastest. Deflate takes twice to five times as long for the same size. */
const params = { [constants.BROTLI_PARAM_QUALITY]: 1 }

const compress = promisify(brotliCompress)
const decompress = promisify(brotliDecompress)

/** Holds on to a turn, so that it can be read even if the session's next turn takes its place. */
export class HeldTurn {
  readonly bodyBytes: number
  #form: RetainedTurn | PackedTurn
  #bytes: number

  constructor(turn: RetainedTurn) {
    this.#form = turn
    this.#bytes = turnBytes(turn)
    this.bodyBytes = turn.body.length
  }

  /** What it takes up now, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** The turn as it was kept. */
  async read(): Promise<RetainedTurn> {
    const form = this.#form
    return 'body' in form ? form : await unpack(form)
  }

  /** Compresses it, if that is worth it. Never rejects: what cannot be compressed stays as it is. */
  async pack(): Promise<void> {
    const form = this.#form
    if (!('body' in form)) return
    const packed = await pack(form).catch(() => undefined)
    if (packed === undefined) return
    this.#form = packed
    this.#bytes = packed.bytes.length + TURN_BYTES
  }
}

/** What a turn takes up as it is, bytes. */
export function turnBytes({ body, reply }: RetainedTurn): number {
  return body.length + replyBytes(reply) + TURN_BYTES
}

/** The bytes themselves, or a copy if they lie in a buffer of more than twice their size, all of which they would keep. */
export function ownBytes(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength <= 2 * bytes.length) return bytes
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}

/** The reply was read from bytes that no longer exist; twice what it seems to weigh is an upper guess of what it holds. */
function replyBytes(reply: readonly JsonValue[]): number {
  try {
    return 2 * valueBytes(reply)
  } catch {
    // Nested deeper than the stack is high: no request could hold it, so it is not kept.
    return Number.MAX_SAFE_INTEGER / 2
  }
}

/** Undefined if the turn should stay as it is. */
async function pack({ body, reply, ...turn }: RetainedTurn): Promise<PackedTurn | undefined> {
  const whole = Buffer.concat([body, Buffer.from(JSON.stringify(reply))])
  const packed = await compress(whole, { params, chunkSize: OUTPUT_BYTES })
  if (packed.length > WORTHWHILE_SHARE * whole.length) return undefined
  return { turn, bytes: ownBytes(packed), bodyBytes: body.length, wholeBytes: whole.length }
}

async function unpack({ turn, bytes, bodyBytes, wholeBytes }: PackedTurn): Promise<RetainedTurn> {
  const whole = await decompress(bytes, { maxOutputLength: wholeBytes, chunkSize: OUTPUT_BYTES })
  const reply = JSON.parse(whole.toString('utf8', bodyBytes)) as JsonValue[]
  return { ...turn, body: whole.subarray(0, bodyBytes), reply }
}
