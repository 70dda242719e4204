// Handles requests that ask for another protocol (RFC 9110, 7.8). cwm speaks only HTTP/1.1: it ignores the offer and serves the request.
// There is no `upgrade` listener on the server: with one, Node would leave the body unparsed. Without one Node parses the request, but
// drops the bytes behind it in the same read, so the next read may start in the middle of a request (seen on Node 20.20, 22.23, and
// 24.21, if both `Upgrade` and `Connection: upgrade` are present). Such a request is therefore the last of its connection.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { CwmError } from '../base/errors.ts'

/** Later requests that are dropped before the connection is destroyed. There is a limit because Node keeps a response object for each. */
const MAX_DROPPED = 100

interface LastRequest {
  readonly request: IncomingMessage
  dropped: number
}

/** The connections on which no further request is served. */
export class UpgradeRequests {
  readonly #last = new WeakMap<Duplex, LastRequest>()

  /**
   * Whether a request may be served. One that asks for an upgrade becomes the last of its connection, and its answer says so. Everything
   * after it may be a fragment, and is read and dropped.
   */
  admit(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const last = this.#last.get(socket)
    if (last !== undefined) {
      // An unread body would stall the connection and hide the client's departure.
      request.resume()
      last.dropped++
      if (last.dropped > MAX_DROPPED) socket.destroy()
      return false
    }
    // Only `Upgrade` is checked, so that it does not matter how a parser reads the `Connection` list.
    if (request.headers.upgrade === undefined) return true
    this.#last.set(socket, { request, dropped: 0 })
    response.shouldKeepAlive = false
    // Even if the answer's own headers say keep-alive.
    response.once('finish', () => socket.destroySoon())
    return true
  }

  /** Whether the connection's last request has arrived completely. Whatever the parser reads after that is not served. */
  isOver(socket: Duplex): boolean {
    return this.#last.get(socket)?.request.complete === true
  }
}

/**
 * `UPGRADE_REQUIRED` for a WebSocket handshake, which must not be answered as a plain GET. Codex then sends its POST over HTTP; it treats 400
 * as fatal.
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
