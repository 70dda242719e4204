// Encodes texts and numbers in few bytes. Texts of random bits in base64url, such as ids and digests, are stored as these bits.

import { hashOf, mixed } from './key-hash.ts'

const MAX_TEXT = 200
/** Lengths of texts of random bits in base64url, by their number of bytes. The last character has no additional bits. */
const binaries = [
  { prefix: 's-', bytes: 16, form: /^s-[\w-]{21}[AQgw]$/ },
  { prefix: '', bytes: 16, form: /^[\w-]{21}[AQgw]$/ },
  { prefix: '', bytes: 32, form: /^[\w-]{42}[AEIMQUYcgkosw048]$/ },
] as const
/** Scratch space for the first bytes of a key. */
const start = Buffer.alloc(8)
const PLAIN = /^[\x20-\x7e]*$/

/** The hash of a key. Some of its random bits already are a hash, so keys of encoded turns need not be decoded to texts. */
export function keyHash(text: string, seed: number): number {
  const binary = binaries.find(({ form }) => form.test(text))
  if (binary === undefined) return hashOf(text, seed)
  const at = binary.prefix.length
  start.write(text.slice(at, at + 6), 'base64url')
  return mixed(start.readUInt32BE(0) ^ seed)
}

export class Writer {
  readonly #buffer: Buffer
  #at = 0

  /** `maxTexts`: the maximum number of texts; of numbers, twice as many. */
  constructor(maxTexts: number) {
    this.#buffer = Buffer.allocUnsafe(maxTexts * (MAX_TEXT + 24))
  }

  bytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#at))
  }

  /** Seven bits per byte, least significant first. Returns false unless it is a whole number of at least 0. */
  number(value: number): boolean {
    if (!Number.isSafeInteger(value) || value < 0) return false
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#buffer[this.#at++] = (rest % 128) | 128
    this.#buffer[this.#at++] = rest
    return true
  }

  /** A kind, or the length and the characters. Returns false for any other value. */
  text(text: string): boolean {
    const kind = binaries.findIndex(({ form }) => form.test(text))
    const binary = binaries[kind]
    if (binary !== undefined) {
      this.number(kind)
      this.#at += this.#buffer.write(text.slice(binary.prefix.length), this.#at, 'base64url')
      return true
    }
    if (text.length > MAX_TEXT || !PLAIN.test(text)) return false
    this.number(binaries.length + text.length)
    this.#at += this.#buffer.write(text, this.#at, 'latin1')
    return true
  }
}

export class Reader {
  readonly #data: Buffer
  #at = 0

  constructor(data: Uint8Array) {
    this.#data = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  }

  get done(): boolean {
    return this.#at >= this.#data.length
  }

  number(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#data.readUInt8(this.#at++)
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  text(): string {
    const kind = this.number()
    const binary = binaries[kind]
    if (binary === undefined) return this.#take(kind - binaries.length, 'latin1')
    return binary.prefix + this.#take(binary.bytes, 'base64url')
  }

  /** Equals `keyHash` of the text. */
  hash(seed: number): number {
    const kind = this.number()
    const binary = binaries[kind]
    if (binary === undefined) return hashOf(this.#take(kind - binaries.length, 'latin1'), seed)
    this.#at += binary.bytes
    return mixed(this.#data.readUInt32BE(this.#at - binary.bytes) ^ seed)
  }

  #take(bytes: number, encoding: 'latin1' | 'base64url'): string {
    this.#at += bytes
    return this.#data.toString(encoding, this.#at - bytes, this.#at)
  }
}
