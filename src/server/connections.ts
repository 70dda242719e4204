// Tracks the server's open connections. During shutdown each one closes after its current response.
// Node's own `server.close()` does not work for that: it treats a response that is queued but not yet sent as idle, and cuts it off.

import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

export class Connections {
  /** Open responses by connection, oldest first, or the last finished one. There can be several because of HTTP pipelining. */
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

  /** The oldest open response of the connection, which is the one being sent. */
  openResponse(socket: Duplex): ServerResponse | undefined {
    return this.#responses.get(socket)?.find(isOpen)
  }

  /** Whether the connection is between two requests. A connection that has not sent its first request yet is not idle. */
  isIdle(socket: Duplex): boolean {
    const last = this.#responses.get(socket)?.at(-1)
    return last !== undefined && !isOpen(last)
  }

  /** From now on each connection closes after its current response, which announces this if its headers are not sent yet. */
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

  /** Closes connections without an open response. */
  closeIdle(): void {
    for (const socket of this.#responses.keys()) if (this.openResponse(socket) === undefined) socket.destroy()
  }

  /** Destroys the remaining connections and returns their number. */
  breakAll(): number {
    const left = [...this.#responses.keys()]
    for (const socket of left) socket.destroy()
    return left.length
  }
}

/** `destroyed` does not tell: a pipelined response that has to break the connection is destroyed while complete ones before it are sent. */
function isOpen(answer: ServerResponse): boolean {
  return !answer.closed
}
