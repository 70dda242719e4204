// Requests that ask for another protocol (RFC 9110, 7.8). cwm speaks HTTP/1.1 only: it ignores the wish and serves the request.
// There is no `upgrade` listener on the server: with one, Node would leave the body unparsed. Without one Node parses the request, but
// drops what stands behind it in the same read, so what comes next begins in the middle of something (seen on Node 20.20, 22.23 and
// 24.21, wherever both `Upgrade` and `Connection: upgrade` are there). Such a request is therefore the last of its connection.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { CwmError } from './base/errors.ts'

/** Requests behind one that asked for an upgrade that are dropped before the connection is broken: Node keeps an answer for each. */
const MAX_BEHIND = 100

interface LastRequest {
  readonly request: IncomingMessage
  behind: number
}

/** The connections on which no further request is served. */
export class UpgradeRequests {
  readonly #last = new WeakMap<Duplex, LastRequest>()

  /**
   * Whether a request may be served. One that asks for an upgrade becomes the last of its connection, and its answer says so. What
   * comes behind it may be a fragment of anything: it is read and dropped.
   */
  admit(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const last = this.#last.get(socket)
    if (last !== undefined) {
      // Unread, its body would stop the connection, and nobody would notice that the client left.
      request.resume()
      last.behind++
      if (last.behind > MAX_BEHIND) socket.destroy()
      return false
    }
    // By the header alone, whatever `Connection` says: no parser's reading of that list has to be guessed.
    if (request.headers.upgrade === undefined) return true
    this.#last.set(socket, { request, behind: 0 })
    response.shouldKeepAlive = false
    // Whatever the answer itself says of its connection.
    response.once('finish', () => socket.destroySoon())
    return true
  }

  /** Whether what the parser reads on this connection no longer belongs to any request that is served. */
  isOver(socket: Duplex): boolean {
    return this.#last.get(socket)?.request.complete === true
  }
}

/**
 * `UPGRADE_REQUIRED` for a WebSocket handshake: served as a plain GET, it would be an answer to something else. Clients that can do without
 * take 426 as a request to use HTTP (Codex sends its POST then), and 400 as fatal.
 */
export function checkHandshake({ method, headers }: IncomingMessage): CwmError | undefined {
  if (headers.upgrade === undefined || method !== 'GET' || headers['sec-websocket-key'] === undefined) return undefined
  const asked = headers.upgrade.split(',').map((token) => token.trim().toLowerCase())
  if (!asked.includes('websocket')) return undefined
  return new CwmError('UPGRADE_REQUIRED', 'WebSocket is not supported; send the request as POST over HTTP/1.1', {
    param: 'upgrade',
    // RFC 9110: 15.5.22 wants the protocol to use, 7.8 wants it named in `Connection` too.
    headers: { upgrade: 'HTTP/1.1', connection: 'upgrade, close' },
  })
}
