// One retained turn, either plain or compressed. Compression runs outside the event loop.

import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants } from 'node:zlib'
import type { JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { valueBytes } from './heap-size.ts'

/** A finished turn as it was sent upstream. Its body contains the salt, so it is only parsed for its prompt and never exposed. */
export interface RetainedTurn {
  readonly dialect: Dialect
  readonly body: Buffer
  /** The delivered reply (the first choice), as messages of the dialect. */
  readonly reply: readonly JsonValue[]
  readonly promptTokens: number | undefined
  readonly clientSalt: string | undefined
  /** The lineage of its KV. The session's own may have changed since. */
  readonly lineage: string
  /** The base window of the turn. The session may have another one by now. */
  readonly parent: string | undefined
  /** The id of that window, because its name may belong to another one by now. */
  readonly parentId?: string | undefined
}

/** A turn's body followed by its reply as JSON, compressed together. */
interface PackedTurn {
  readonly turn: Omit<RetainedTurn, 'body' | 'reply'>
  readonly bytes: Buffer
  readonly bodyBytes: number
  readonly wholeBytes: number
}

/** Bytes of a turn besides body and reply: the session's key and the objects. */
const TURN_BYTES = 512
/** A turn stays plain if its compressed size would be more than this share of its plain size. */
const WORTHWHILE_SHARE = 0.9
/** Size of zlib's output buffers. Each buffer costs a trip through the thread pool. */
const OUTPUT_BYTES = 256 * 1024
/**
 * The second fastest quality: its output is 10% smaller than the fastest one's. Deflate takes two to five times as long for the same size.
 */
const params = { [constants.BROTLI_PARAM_QUALITY]: 1 }

const compress = promisify(brotliCompress)
const decompress = promisify(brotliDecompress)

/** Holds a turn, so that it can still be read after the session's next turn has replaced it. */
export class HeldTurn {
  readonly bodyBytes: number
  #form: RetainedTurn | PackedTurn
  #bytes: number

  constructor(turn: RetainedTurn) {
    this.#form = turn
    this.#bytes = turnBytes(turn)
    this.bodyBytes = turn.body.length
  }

  /** Its current size in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Returns the turn, decompressed if necessary. */
  async read(): Promise<RetainedTurn> {
    const form = this.#form
    return 'body' in form ? form : await unpack(form)
  }

  /** Compresses the turn if that saves enough. Never rejects: a turn that cannot be compressed stays plain. */
  async pack(): Promise<void> {
    const form = this.#form
    if (!('body' in form)) return
    const packed = await pack(form).catch(() => undefined)
    if (packed === undefined) return
    this.#form = packed
    this.#bytes = packed.bytes.length + TURN_BYTES
  }
}

/** Bytes of an uncompressed turn. */
export function turnBytes({ body, reply }: RetainedTurn): number {
  return body.length + replyBytes(reply) + TURN_BYTES
}

/** The same bytes, or a copy if their underlying buffer is more than twice as large: keeping them would keep that whole buffer. */
export function ownBytes(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength <= 2 * bytes.length) return bytes
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}

/** Estimates the bytes of a reply. Doubled as an upper bound, because the bytes it was parsed from are gone and cannot be measured. */
function replyBytes(reply: readonly JsonValue[]): number {
  try {
    return 2 * valueBytes(reply)
  } catch {
    // Nested too deeply for the stack. No request could contain this reply, so its size makes sure that it is not kept.
    return Number.MAX_SAFE_INTEGER / 2
  }
}

/** Undefined if the turn should stay plain. */
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
