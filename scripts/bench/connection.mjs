// One keep-alive connection of the load client, on a bare socket: node:http would cost more than some of the measured proxies.

import { connect } from 'node:net'
import { AnswerReader } from './answer-reader.mjs'

export class Connection {
  #socket
  #events
  #isOver = false

  /** Calls `onBody` and `onEnd` of `events` as `AnswerReader` does, and `onError(error)` once the connection is unusable. */
  constructor(url, events) {
    const { hostname, port } = new URL(url)
    const reader = new AnswerReader(events)
    this.#events = events
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.#socket.on('data', (bytes) => {
      try {
        reader.read(bytes)
      } catch (error) {
        this.#fail(error)
      }
    })
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
}
