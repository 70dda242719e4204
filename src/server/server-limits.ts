// How much and how long a client's connection may take in each phase before and after its answer: Node's own server keeps the times.

import type { IncomingMessage, Server, ServerOptions } from 'node:http'
import type { Socket } from 'node:net'
import { CwmError } from '../base/errors.ts'
import type { Connections } from './connections.ts'

export interface ConnectionLimits {
  readonly maxHeaderBytes: number
  /** Header lines of a request. */
  readonly maxHeaders: number
  /** From the connection, or the first byte of a further request, until its headers are whole; 0 waits for ever. */
  readonly requestHeadersTimeoutMs: number
  /** Until the whole request is there; 0 waits for ever. */
  readonly bodyTimeoutMs: number
  /** A connection without a request; 0 keeps it. */
  readonly keepAliveMs: number
  /** A client that takes nothing of what waits for it; 0 waits for ever. */
  readonly clientStallMs: number
}

/** Node looks after its timeouts only so often; by default each half minute, which would make one second thirty. */
const CHECK_INTERVAL_MS = 1_000

/** What Node's server is made with. */
export function serverOptions(limits: ConnectionLimits): ServerOptions {
  const { requestHeadersTimeoutMs: headers, bodyTimeoutMs: whole } = limits
  return {
    maxHeaderSize: limits.maxHeaderBytes,
    // Node does not start where the part is allowed more than the whole.
    headersTimeout: whole > 0 ? Math.min(headers, whole) : headers,
    requestTimeout: whole,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    keepAliveTimeout: limits.keepAliveMs,
  }
}

/**
 * Closes connections that are idle, or whose client does not read; one whose request or answer has not come yet is left alone.
 * `stalled` is called for each client that did not read.
 */
export function watchConnections(
  server: Server,
  limits: Pick<ConnectionLimits, 'clientStallMs' | 'keepAliveMs'>,
  connections: Pick<Connections, 'isIdle'>,
  stalled: () => void,
): void {
  // Node would leave out the headers over its own bound in silence, and a key or a session with them.
  server.maxHeadersCount = 0
  server.timeout = limits.clientStallMs
  // Node counts bytes that the client took as activity, and has no other way to tell who does not read. The same event comes after
  // `keepAliveMs`, and where that is 0 after the time that was meant for who does not read.
  server.on('timeout', (socket: Socket) => {
    const waits = socket.writableLength > 0
    if (waits) stalled()
    if (waits || (limits.keepAliveMs > 0 && connections.isIdle(socket))) socket.destroy()
  })
}

/** `HEADERS_TOO_LARGE` for more lines than are allowed: each costs more than its bytes. */
export function checkHeaderCount(
  { rawHeaders }: IncomingMessage,
  { maxHeaders }: ConnectionLimits,
): CwmError | undefined {
  if (rawHeaders.length <= 2 * maxHeaders) return undefined
  return new CwmError('HEADERS_TOO_LARGE', `there are more than ${maxHeaders} headers (setting max_headers)`)
}
