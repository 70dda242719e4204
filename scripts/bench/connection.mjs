// One keep-alive connection of the load client, on a bare socket: what node:http would cost more than some proxies that are measured.
// Reads what HTTP/1.1 servers answer to a POST: by content length or in chunks. Anything else is an error.

import { connect } from 'node:net'

const CR = 13
const LF = 10

/** Answers are told to `events`: `onBody(bytes)` with the count of each piece of a body, `onEnd(status, head, bodyBytes)`, `onError(error)`. Heads in lower case. */
export class Connection {
  #socket
  #events
  #isOver = false
  /** The head of the answer as far as it came; then where its body is. */
  #head = ''
  #headIsWhole = false
  #status = 0
  #bodyBytes = 0
  /** Of the body, or of its chunk; below zero none is known. */
  #left = 0
  #chunked = false
  #sizeLine = ''
  #isLastChunk = false

  constructor(url, events) {
    const { hostname, port } = new URL(url)
    this.#events = events
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.#socket.on('data', (bytes) => this.#read(bytes))
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new Error('the connection was closed')))
  }

  send(head, body) {
    this.#socket.cork()
    this.#socket.write(head, 'latin1')
    this.#socket.write(body)
    this.#socket.uncork()
  }

  close() {
    this.#isOver = true
    this.#socket.destroy()
  }

  #fail(error) {
    if (this.#isOver) return
    this.close()
    this.#events.onError(error)
  }

  #read(bytes) {
    let at = 0
    while (at < bytes.length && !this.#isOver) {
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
    const used = end + 4 - before
    this.#head = this.#head.slice(0, end + 2).toLowerCase()
    this.#headIsWhole = true
    this.#status = Number(this.#head.slice(9, 12))
    const length = headerOf(this.#head, 'content-length')
    this.#chunked = length === undefined
    if (this.#chunked && headerOf(this.#head, 'transfer-encoding') !== 'chunked') {
      this.#fail(new Error('the answer has neither length nor chunks'))
    }
    this.#left = Number(length ?? 0)
    if (length === '0') this.#end()
    return at + used
  }

  /** The line before a chunk, and the line end behind the chunk before it. */
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
    this.#events.onBody(end - at)
    this.#bodyBytes += end - at
    this.#left -= end - at
    if (this.#left === 0 && !this.#chunked) this.#end()
    return end
  }

  #end() {
    const head = this.#head
    const bodyBytes = this.#bodyBytes
    this.#head = ''
    this.#headIsWhole = false
    this.#bodyBytes = 0
    this.#isLastChunk = false
    this.#events.onEnd(this.#status, head, bodyBytes)
  }
}

/** The value of a header in an answer's head; all in lower case. */
export function headerOf(head, name) {
  const at = head.indexOf(`\r\n${name}:`)
  return at < 0 ? undefined : head.slice(at + name.length + 3, head.indexOf('\r\n', at + 2)).trim()
}
