// The open connections of the server, and how they end when cwm is being stopped: each after the answer that it has under way.
// Node's own `server.close()` is not used for that: it takes an answer for idle that is handed over and not yet sent, and cuts it off.

import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

export class Connections {
  /** With the last answer that each began. Bounded by the open sockets. */
  readonly #answers = new Map<Duplex, ServerResponse | undefined>()
  #draining = false

  opened(socket: Duplex): void {
    this.#answers.set(socket, undefined)
    socket.once('close', () => this.#answers.delete(socket))
  }

  began(socket: Duplex, answer: ServerResponse): void {
    this.#answers.set(socket, answer)
    if (this.#draining) answer.shouldKeepAlive = false
  }

  answerOf(socket: Duplex): ServerResponse | undefined {
    return this.#answers.get(socket)
  }

  /** From now on an answer is the last of its connection, and says so if its headers are not out yet. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    for (const [socket, answer] of this.#answers) {
      if (answer === undefined || answer.destroyed) continue
      answer.shouldKeepAlive = false
      answer.once('close', () => socket.destroy())
    }
  }

  /** Closes those that wait for a request. */
  closeIdle(): void {
    for (const [socket, answer] of this.#answers) if (answer === undefined || answer.destroyed) socket.destroy()
  }

  /** Breaks what is left. Answers how many that was. */
  breakAll(): number {
    const left = [...this.#answers.keys()]
    for (const socket of left) socket.destroy()
    return left.length
  }
}
