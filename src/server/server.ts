// The HTTP server: one listener for forwarded paths and for /cwm/. Checks made here apply to both.

import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { isIP, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { endAfterRequest } from '../base/end-after-request.ts'
import { CwmError } from '../base/errors.ts'
import { isLoopback, loopbackNames } from '../base/loopback.ts'
import { errorBodyForAll } from '../dialects/errors.ts'
import { Connections } from './connections.ts'
import { isBrowserAtRoot, redirectToDashboard } from './dashboard-redirect.ts'
import { checkTarget } from './request-target.ts'
import { type ConnectionLimits, checkHeaderCount, serverOptions, watchConnections } from './server-limits.ts'
import { checkHandshake, UpgradeRequests } from './upgrades.ts'

export interface ServerOptions {
  readonly host: string
  readonly port: number
  readonly allowedHosts: readonly string[]
  readonly limits: ConnectionLimits
  /** Called when a connection is closed because its client did not read. */
  readonly onStalledClient: () => void
  /** Handles requests that may be forwarded. */
  readonly proxy: (request: IncomingMessage, response: ServerResponse) => void
  /** Whether to redirect browsers from `/` to the dashboard. */
  readonly hasDashboard: boolean
  /** Handles `/cwm/…`, except `/cwm/s/…` and `/cwm/w/…`. */
  readonly api: (request: IncomingMessage, response: ServerResponse) => void
}

/** A listening server. Shutdown calls its methods in this order, and may skip any of them. */
export interface RunningServer {
  readonly url: string
  /** From now on each connection closes after its current response. New connections are still accepted. */
  drain(): void
  /** Stops accepting connections and closes idle ones. Resolves when the last response has ended. */
  close(): Promise<void>
  /** Destroys the remaining connections and returns their number. */
  breakAll(): number
}

/** How long a client may take to read the error and close, after a request that could not be parsed. */
const REJECT_TIMEOUT_MS = 1_000
const API_PATH = /^\/cwm(\/(?![sw]\/)|$|\?)/

/** Starts listening. Throws `CONFIG` if the address is in use or not available. */
export async function listen(options: ServerOptions): Promise<RunningServer> {
  const checksHost = isLoopback(options.host)
  const allowed = new Set([...loopbackNames, options.host, ...options.allowedHosts].map((name) => name.toLowerCase()))
  const connections = new Connections()
  const upgrades = new UpgradeRequests()
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    // A client that leaves mid-request causes errors on both, at any time. Without listeners they would end the process.
    request.on('error', () => {})
    response.on('error', () => {})
    if (!upgrades.admit(request, response)) return
    if (response.socket === null) propagateSocketClose(request, response)
    connections.addResponse(request.socket, response)
    const refusal =
      checkHeaderCount(request, options.limits) ??
      checkTarget(request, checksHost ? allowed : undefined) ??
      checkHandshake(request)
    if (refusal !== undefined) reject(response, refusal)
    else if (API_PATH.test(request.url ?? '')) options.api(request, response)
    else if (options.hasDashboard && isBrowserAtRoot(request)) redirectToDashboard(response)
    else options.proxy(request, response)
  }
  const server = createServer(
    {
      ...serverOptions(options.limits),
      // checkTarget rejects it with a better message.
      requireHostHeader: false,
      keepAlive: true,
      noDelay: true,
    },
    serve,
  )
  server.on('connection', (socket) => connections.addConnection(socket))
  watchConnections(server, options.limits, connections, options.onStalledClient)
  // Without a listener, Node answers unknown expectations itself, bypassing all checks above. Serving them is allowed (RFC 9110, 10.1.1).
  server.on('checkExpectation', serve)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (upgrades.isOver(socket)) {
      // The current response must still be sent, unless its client has left.
      if (socket.readableEnded) socket.destroy()
      return
    }
    // In the middle of a response, the client would take an error for part of it.
    if (connections.openResponse(socket)?.headersSent === true) socket.destroy()
    else rejectOnSocket(socket, parseFailure(error))
  })
  // cwm cannot inspect a tunnel, so it could not isolate its requests. Node passes the raw connection to this listener.
  server.on('connect', (_, socket) => {
    if (connections.openResponse(socket) === undefined) rejectOnSocket(socket, connectNotSupported())
    else socket.destroy()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new CwmError('CONFIG', `cannot listen on ${options.host}:${options.port} (${cause.message})`, {
          param: 'port',
          cause,
        }),
      )
    })
    server.listen(options.port, options.host, resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  const host = isIP(options.host) === 6 ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    drain: () => connections.drain(),
    close: async () => {
      connections.drain()
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      connections.closeIdle()
      await closed
      // Stops the timer that checks connections.
      server.close()
    },
    breakAll: () => connections.breakAll(),
  }
}

/** The error for a request that Node's parser rejected or gave up waiting for. */
function parseFailure({ code }: NodeJS.ErrnoException): CwmError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new CwmError('HEADERS_TOO_LARGE', 'the request headers are too large (setting max_header_bytes)')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const settings = 'settings request_headers_timeout_ms and body_timeout_ms'
    return new CwmError('BODY_TIMEOUT', `the request did not arrive in time (${settings})`)
  }
  return new CwmError('INVALID_HTTP', 'this is not a valid HTTP request')
}

function connectNotSupported(): CwmError {
  return new CwmError(
    'METHOD_NOT_ALLOWED',
    'CONNECT is not supported: cwm is a gateway for its own paths, not a tunnel',
    {
      param: 'method',
      // RFC 9110, 10.2.1: empty means that the target allows no method.
      headers: { allow: '' },
    },
  )
}

/** Sends an error response on a raw socket and closes it. */
function rejectOnSocket(socket: Duplex, error: CwmError): void {
  // The request was already rejected, and the client keeps sending.
  if (!socket.writable) return
  // Node has removed its own listeners from this socket. Without this one, a connection reset would end the process.
  socket.on('error', () => {})
  const timer = setTimeout(() => socket.destroy(), REJECT_TIMEOUT_MS)
  socket.once('close', () => clearTimeout(timer))
  const body = errorBodyForAll(error)
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(error.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.resume()
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/**
 * Closes a pipelined response when its connection closes. Until its turn comes, such a response has no socket, and Node never emits `close`
 * on it: the engine's request and the slot that are released on `close` would leak.
 */
function propagateSocketClose({ socket }: IncomingMessage, response: ServerResponse): void {
  const close = () => {
    response.destroy()
    response.emit('close')
  }
  socket.once('close', close)
  // The response now has its socket, and emits `close` itself.
  response.once('socket', () => socket.off('close', close))
}

function reject(response: ServerResponse, error: CwmError): void {
  const body = Buffer.from(errorBodyForAll(error))
  response.writeHead(error.status, {
    'content-type': 'application/json',
    'content-length': body.length,
    connection: 'close',
    ...error.headers,
  })
  response.write(body)
  endAfterRequest(response)
}
