// A strict parser for the HTTP/1.1 responses on a connection: anything that is not a response by RFC 9112 is an error.

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) ?[\t\x20-\x7e\x80-\xff]*$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/
const BLANK = Buffer.from('\r\n\r\n')
const MAX_HEAD = 128 * 1024

export class AnswerParser {
  #bytes = Buffer.alloc(0)
  #head
  #isHead
  /** Complete responses, oldest first: `{ status, headers, body }`. Header names are lower case; repeated headers are lists. */
  answers = []
  /** Number of interim responses (1xx). */
  interim = 0

  /** `isHead(n)`: whether the n-th response answers a HEAD request, and so has no body. */
  constructor(isHead = () => false) {
    this.#isHead = isHead
  }

  /** Whether there are bytes of an incomplete response. */
  get isWithin() {
    return this.#head !== undefined || this.#bytes.length > 0
  }

  /** The response that has started but is not complete, if any. */
  get begun() {
    return this.#head
  }

  /** Throws if the bytes are not a valid response. */
  read(bytes) {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    while (this.#step());
  }

  /** Call this when the connection closes. It ends a response that is delimited by that. */
  end() {
    if (this.#head === undefined || this.#head.framing !== 'close') return
    this.#finish(this.#bytes, this.#bytes.length)
  }

  #step() {
    if (this.#head === undefined) return this.#readHead()
    const { framing } = this.#head
    if (framing === 'none') return this.#finish(Buffer.alloc(0), 0)
    if (framing === 'close') return false
    if (framing === 'chunked') return this.#readChunks()
    if (this.#bytes.length < framing) return false
    return this.#finish(this.#bytes.subarray(0, framing), framing)
  }

  #readHead() {
    const end = this.#bytes.indexOf(BLANK)
    if (end === -1) {
      if (this.#bytes.length > MAX_HEAD) throw new Error('a response head that does not end')
      return false
    }
    const [first, ...lines] = this.#bytes.latin1Slice(0, end).split('\r\n')
    const status = Number(STATUS_LINE.exec(first)?.[1])
    if (Number.isNaN(status)) throw new Error(`not a status line: ${first.slice(0, 100)}`)
    const headers = headersOf(lines)
    this.#bytes = this.#bytes.subarray(end + BLANK.length)
    if (status >= 100 && status < 200) {
      this.interim++
      return true
    }
    this.#head = { status, headers, framing: this.#framingOf(status, headers) }
    return true
  }

  #framingOf(status, headers) {
    if (status === 204 || status === 304 || this.#isHead(this.answers.length)) return 'none'
    const length = headers['content-length']
    const coding = headers['transfer-encoding']
    if (coding !== undefined && length !== undefined) throw new Error('both length and transfer-encoding')
    if (coding !== undefined && coding !== 'chunked') throw new Error(`transfer-encoding ${coding}`)
    if (coding === 'chunked') return 'chunked'
    if (length === undefined) return 'close'
    if (!/^\d+$/.test(length)) throw new Error(`content-length ${length}`)
    return Number(length)
  }

  #readChunks() {
    this.#head.parts ??= []
    let at = 0
    for (;;) {
      const lineEnd = this.#bytes.indexOf('\r\n', at)
      if (lineEnd === -1) break
      const line = this.#bytes.latin1Slice(at, lineEnd)
      if (!/^[0-9a-fA-F]+$/.test(line)) throw new Error(`not a chunk size: ${line.slice(0, 40)}`)
      const size = Number.parseInt(line, 16)
      const end = lineEnd + 2 + size
      if (this.#bytes.length < end + 2) break
      if (this.#bytes.latin1Slice(end, end + 2) !== '\r\n') throw new Error('a chunk without CRLF at its end')
      if (size === 0) return this.#finish(Buffer.concat(this.#head.parts), end + 2)
      this.#head.parts.push(this.#bytes.subarray(lineEnd + 2, end))
      at = end + 2
    }
    this.#bytes = this.#bytes.subarray(at)
    return false
  }

  #finish(body, used) {
    const { status, headers } = this.#head
    this.answers.push({ status, headers, body })
    this.#head = undefined
    this.#bytes = this.#bytes.subarray(used)
    return true
  }
}

function headersOf(lines) {
  const headers = {}
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? []
    if (name === undefined) throw new Error(`not a header: ${line.slice(0, 100)}`)
    const lower = name.toLowerCase()
    headers[lower] = headers[lower] === undefined ? value : [headers[lower], value].flat()
  }
  return headers
}
