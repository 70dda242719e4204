// Size and time limits of client connections, by phase. Node's HTTP server enforces the times.

import type { IncomingMessage, Server, ServerOptions } from 'node:http'
import type { Socket } from 'node:net'
import { CwmError } from '../base/errors.ts'
import type { Connections } from './connections.ts'

export interface ConnectionLimits {
  readonly maxHeaderBytes: number
  /** Maximum header lines of a request. */
  readonly maxHeaders: number
  /** From the start of the connection, or the first byte of a later request, until all headers have arrived; 0 for no limit. */
  readonly requestHeadersTimeoutMs: number
  /** Until the whole request has arrived; 0 for no limit. */
  readonly bodyTimeoutMs: number
  /** How long an idle connection stays open; 0 for no limit. */
  readonly keepAliveMs: number
  /** How long a client may read nothing while data is waiting for it; 0 for no limit. */
  readonly clientStallMs: number
}

/** How often Node checks these timeouts. Its default is 30 s, which would turn a timeout of one second into thirty. */
const CHECK_INTERVAL_MS = 1_000

/** The options for Node's `createServer`. */
export function serverOptions(limits: ConnectionLimits): ServerOptions {
  const { requestHeadersTimeoutMs: headers, bodyTimeoutMs: whole } = limits
  return {
    maxHeaderSize: limits.maxHeaderBytes,
    // Node throws if `headersTimeout` is greater than `requestTimeout`.
    headersTimeout: whole > 0 ? Math.min(headers, whole) : headers,
    requestTimeout: whole,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    keepAliveTimeout: limits.keepAliveMs,
  }
}

/**
 * Closes connections that are idle or whose client does not read. Connections that wait for a request or response are left alone.
 * Calls `stalled` for each client that did not read.
 */
export function watchConnections(
  server: Server,
  limits: Pick<ConnectionLimits, 'clientStallMs' | 'keepAliveMs'>,
  connections: Pick<Connections, 'isIdle'>,
  stalled: () => void,
): void {
  // Node would silently drop headers over its own limit, which could be a key or a session id. See checkHeaderCount.
  server.maxHeadersCount = 0
  server.timeout = limits.clientStallMs
  // Node counts bytes that the client reads as activity, so this timeout detects clients that do not read; Node offers no other way. The
  // same event is emitted after `keepAliveMs`, and if that is 0, after `clientStallMs`.
  server.on('timeout', (socket: Socket) => {
    const waits = socket.writableLength > 0
    if (waits) stalled()
    if (waits || (limits.keepAliveMs > 0 && connections.isIdle(socket))) socket.destroy()
  })
}

/** `HEADERS_TOO_LARGE` for more header lines than allowed: each costs more memory than its bytes. */
export function checkHeaderCount(
  { rawHeaders }: IncomingMessage,
  { maxHeaders }: ConnectionLimits,
): CwmError | undefined {
  if (rawHeaders.length <= 2 * maxHeaders) return undefined
  return new CwmError('HEADERS_TOO_LARGE', `the request has more than ${maxHeaders} headers (setting max_headers)`)
}
