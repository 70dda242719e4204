// The open connections of the server, and how they end when cwm is being stopped: each after the answer that it has under way.
// Node's own `server.close()` is not used for that: it takes an answer for idle that is handed over and not yet sent, and cuts it off.

import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

export class Connections {
  /** With the answers that each has open, oldest first, or its last one: a client may send before it is answered (HTTP pipelining). */
  readonly #responses = new Map<Duplex, ServerResponse[]>()
  #draining = false

  addConnection(socket: Duplex): void {
    this.#responses.set(socket, [])
    socket.once('close', () => this.#responses.delete(socket))
  }

  addResponse(socket: Duplex, answer: ServerResponse): void {
    const answers = this.#responses.get(socket)
    if (answers === undefined) return
    while (answers[0]?.closed === true) answers.shift()
    answers.push(answer)
    if (this.#draining) answer.shouldKeepAlive = false
  }

  /** The answer whose turn it is to go out; undefined: none is open. */
  openResponse(socket: Duplex): ServerResponse | undefined {
    return this.#responses.get(socket)?.find(isOpen)
  }

  /** Between two requests. One that has not sent its first is not. */
  isIdle(socket: Duplex): boolean {
    const last = this.#responses.get(socket)?.at(-1)
    return last !== undefined && !isOpen(last)
  }

  /** From now on an answer is the last of its connection, and says so if its headers are not out yet. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    for (const [socket, answers] of this.#responses) {
      const last = answers.at(-1)
      if (last === undefined || !isOpen(last)) continue
      last.shouldKeepAlive = false
      last.once('close', () => socket.destroy())
    }
  }

  /** Closes those that wait for a request. */
  closeIdle(): void {
    for (const socket of this.#responses.keys()) if (this.openResponse(socket) === undefined) socket.destroy()
  }

  /** Breaks what is left. Answers how many that was. */
  breakAll(): number {
    const left = [...this.#responses.keys()]
    for (const socket of left) socket.destroy()
    return left.length
  }
}

/** Not `destroyed`: that an answer is, before its turn, when it is to break the connection, behind others that are whole. */
function isOpen(answer: ServerResponse): boolean {
  return !answer.closed
}
