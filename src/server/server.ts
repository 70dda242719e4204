// The HTTP server: one door for the hot path and for /cwm/. What is checked here is checked for both.

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
  /** Called for each client whose connection is closed because it did not read. */
  readonly onStalledClient: () => void
  /** Everything that may be forwarded. */
  readonly proxy: (request: IncomingMessage, response: ServerResponse) => void
  /** Whether to redirect browsers from `/` to the dashboard. */
  readonly hasDashboard: boolean
  /** `/cwm/…` but for `/cwm/s/…` and `/cwm/w/…`. */
  readonly api: (request: IncomingMessage, response: ServerResponse) => void
}

/** The open door. It is closed in this order, a step skipped or not. */
export interface RunningServer {
  readonly url: string
  /** Each answer from now on is the last of its connection. New connections are still accepted. */
  drain(): void
  /** Accepts nothing any more and closes what is idle; resolves when the last answer has ended. */
  close(): Promise<void>
  /** Breaks the connections that are left. Answers how many that was. */
  breakAll(): number
}

/** How long a connection without a request that could be read may take to read its answer and to close. */
const REJECT_TIMEOUT_MS = 1_000
const API_PATH = /^\/cwm(\/(?![sw]\/)|$|\?)/

/** Starts to listen. Throws `CONFIG` when the address is taken or not to be had. */
export async function listen(options: ServerOptions): Promise<RunningServer> {
  const checksHost = isLoopback(options.host)
  const allowed = new Set([...loopbackNames, options.host, ...options.allowedHosts].map((name) => name.toLowerCase()))
  const connections = new Connections()
  const upgrades = new UpgradeRequests()
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    // A client that leaves in mid-request makes both of these err, at any time: nothing of it may end the process.
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
      // Refused below, in words.
      requireHostHeader: false,
      keepAlive: true,
      noDelay: true,
    },
    serve,
  )
  server.on('connection', (socket) => connections.addConnection(socket))
  watchConnections(server, options.limits, connections, options.onStalledClient)
  // Without a listener Node answers unknown expectations itself, past all checks above. Serving them is allowed (RFC 9110, 10.1.1).
  server.on('checkExpectation', serve)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (upgrades.isOver(socket)) {
      // The answer under way is still owed, unless its client has left.
      if (socket.readableEnded) socket.destroy()
      return
    }
    // Bytes of ours in the middle of an answer would be taken for its own.
    if (connections.openResponse(socket)?.headersSent === true) socket.destroy()
    else rejectOnSocket(socket, parseFailure(error))
  })
  // cwm could not read a tunnel, so it could isolate nothing in it. Node hands the raw connection to this listener.
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
      // For its timer, that looks after connections.
      server.close()
    },
    breakAll: () => connections.breakAll(),
  }
}

/** What Node's parser could not read, or gave up waiting for. */
function parseFailure({ code }: NodeJS.ErrnoException): CwmError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new CwmError('HEADERS_TOO_LARGE', 'the headers are too large (setting max_header_bytes)')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const settings = 'settings request_headers_timeout_ms and body_timeout_ms'
    return new CwmError('BODY_TIMEOUT', `the request did not arrive in time (${settings})`)
  }
  return new CwmError('INVALID_HTTP', 'this is not a request that can be read')
}

function connectNotSupported(): CwmError {
  return new CwmError(
    'METHOD_NOT_ALLOWED',
    'CONNECT is not supported: cwm is a gateway for its own paths, not a tunnel',
    {
      param: 'method',
      // RFC 9110, 10.2.1: empty means that the target allows no method. A host and port is no resource here.
      headers: { allow: '' },
    },
  )
}

/** Answers on a bare socket and closes it. */
function rejectOnSocket(socket: Duplex, error: CwmError): void {
  // Refused before, and its client sends on.
  if (!socket.writable) return
  // Node has taken its own listeners off this socket: without one of ours, a client that resets it ends the process.
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
 * An answer behind others on its connection (HTTP pipelining) has no socket yet, and Node closes it with none: whatever waits for its
 * close, an engine at work or a slot, would wait for ever.
 */
function propagateSocketClose({ socket }: IncomingMessage, response: ServerResponse): void {
  const close = () => {
    response.destroy()
    response.emit('close')
  }
  socket.once('close', close)
  // Its turn has come, and with it a socket that tells of its end.
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
