// Parses HTTP/1.1 answers to POSTs on one connection, however their bytes are split. Bodies have a content length or are chunked; anything
// else is an error.

const CR = 13
const LF = 10

export class AnswerReader {
  #events
  #head = ''
  #headIsWhole = false
  #status = 0
  #bodyBytes = 0
  /** Remaining bytes of the body, or of its current chunk. */
  #left = 0
  #chunked = false
  #sizeLine = ''
  #isLastChunk = false

  /**
   * Calls `onBody(bytes)` with the length of each piece of a body, and `onEnd(status, head, bodyBytes)` after each answer. Heads are in
   * lower case.
   */
  constructor(events) {
    this.#events = events
  }

  /** Throws if the answer is neither chunked nor has a length. */
  read(bytes) {
    let at = 0
    while (at < bytes.length) {
      if (!this.#headIsWhole) at = this.#readHead(bytes, at)
      else if (this.#chunked && this.#left === 0) at = this.#readSize(bytes, at)
      else at = this.#readBody(bytes, at)
    }
  }

  #readHead(bytes, at) {
    const before = this.#head.length
    this.#head += bytes.latin1Slice(at)
    const end = this.#head.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end < 0) return bytes.length
    this.#head = this.#head.slice(0, end + 2).toLowerCase()
    this.#headIsWhole = true
    this.#status = Number(this.#head.slice(9, 12))
    const length = headerOf(this.#head, 'content-length')
    this.#chunked = length === undefined
    if (this.#chunked && headerOf(this.#head, 'transfer-encoding') !== 'chunked') {
      throw new Error('the answer has neither a content length nor chunks')
    }
    this.#left = Number(length ?? 0)
    if (length === '0') this.#end()
    return at + end + 4 - before
  }

  /** Reads the line before a chunk, and the line end after the previous chunk. */
  #readSize(bytes, at) {
    for (let n = at; n < bytes.length; n++) {
      const byte = bytes[n]
      if (byte === LF) {
        const line = this.#sizeLine
        this.#sizeLine = ''
        if (line === '' && this.#isLastChunk) {
          this.#end()
          return n + 1
        }
        if (line === '') continue
        this.#left = Number.parseInt(line, 16)
        this.#isLastChunk = this.#left === 0
        if (this.#left > 0) return n + 1
      } else if (byte !== CR) this.#sizeLine += String.fromCharCode(byte)
    }
    return bytes.length
  }

  #readBody(bytes, at) {
    const end = Math.min(bytes.length, at + this.#left)
    this.#bodyBytes += end - at
    this.#left -= end - at
    this.#events.onBody(end - at)
    if (this.#left === 0 && !this.#chunked) this.#end()
    return end
  }

  #end() {
    const [head, bodyBytes] = [this.#head, this.#bodyBytes]
    this.#head = ''
    this.#headIsWhole = false
    this.#bodyBytes = 0
    this.#isLastChunk = false
    this.#events.onEnd(this.#status, head, bodyBytes)
  }
}

/** The value of a header in an answer's head; both in lower case. */
export function headerOf(head, name) {
  const at = head.indexOf(`\r\n${name}:`)
  return at < 0 ? undefined : head.slice(at + name.length + 3, head.indexOf('\r\n', at + 2)).trim()
}
