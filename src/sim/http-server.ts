// One listening socket: reads whole requests, logs them, calls the handler, and writes the answer or carries out an injected fault.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HttpError } from './errors.ts'
import type { FaultAction, Faults } from './faults.ts'
import type { RequestLog, ServerName } from './request-log.ts'
import { type Answer, findRoute, type Routes } from './routes.ts'

const MAX_BODY_BYTES = 64 * 1024 * 1024

export interface Parts {
  readonly name: ServerName
  readonly routes: Routes
  readonly log: RequestLog
  readonly faults: Faults
}

export class HttpServer {
  readonly #parts: Parts
  readonly #host: string
  #port: number
  #server: Server | undefined

  constructor(host: string, port: number, parts: Parts) {
    this.#host = host
    this.#port = port
    this.#parts = parts
  }

  get url(): string {
    return `http://${this.#host}:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  get listening(): boolean {
    return this.#server !== undefined
  }

  /** Starts to listen; after a stop, on the same port as before. */
  async start(): Promise<void> {
    if (this.#server) return
    const server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
    server.listen(this.#port, this.#host)
    await once(server, 'listening')
    this.#server = server
    this.#port = (server.address() as AddressInfo).port
  }

  /** Closes all connections and refuses new ones. */
  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { name, routes, log, faults } = this.#parts
    const disconnected = new AbortController()
    response.on('close', () => disconnected.abort(new Error('the client disconnected')))
    const method = request.method ?? 'GET'
    const target = request.url ?? '/'
    const [path = '/', search = ''] = target.split('?')
    const fault = faults.take(name, method, path)
    if (fault?.kind === 'reset') {
      request.socket.resetAndDestroy()
      return
    }
    const body = await readBody(request)
    log.add({
      server: name,
      method,
      path: target,
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body,
      at: Date.now(),
    })
    if (fault?.kind === 'status') return write(response, statusAnswer(fault), undefined)
    let answer: Answer
    try {
      const { handler, params } = findRoute(routes, method, path)
      const query = new URLSearchParams(search)
      answer = await handler({
        method,
        path,
        query,
        params,
        headers: request.headers,
        body,
        signal: disconnected.signal,
      })
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      answer = { status: error.status, json: error.json }
    }
    await write(response, answer, fault)
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new Error(`the simulator accepts bodies of at most ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const statusAnswer = (fault: FaultAction & { kind: 'status' }): Answer => ({
  status: fault.status,
  json: fault.body ?? {
    error: { message: 'injected fault', type: 'FaultError', param: null, code: fault.status },
  },
  ...(fault.headers && { headers: fault.headers }),
})

async function write(response: ServerResponse, answer: Answer, fault: FaultAction | undefined): Promise<void> {
  response.setHeader('server', 'uvicorn')
  if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.ms))
  if (fault?.kind === 'die-before-headers') return void response.destroy()
  if (fault?.kind === 'stall' && fault.events === undefined) return
  if ('events' in answer) {
    response.writeHead(answer.status, { 'content-type': 'text/event-stream; charset=utf-8' })
    response.flushHeaders()
    await writeEvents(response, answer.events, fault)
  } else {
    await writeWhole(response, answer, fault)
  }
}

async function writeEvents(
  response: ServerResponse,
  events: AsyncIterable<string>,
  fault: FaultAction | undefined,
): Promise<void> {
  if (fault?.kind === 'die-after-headers') return breakOff(response)
  let sent = 0
  for await (const event of events) {
    if (fault && 'events' in fault && fault.events === sent) {
      if (fault.kind === 'stall') return
      if (fault.kind === 'die-in-event') await send(response, event.slice(0, Math.ceil(event.length / 2)))
      return breakOff(response)
    }
    if (response.destroyed) return
    await send(response, event)
    sent++
  }
  response.end()
}

async function writeWhole(
  response: ServerResponse,
  answer: Answer & { json?: unknown; text?: string; headers?: Readonly<Record<string, string>> },
  fault: FaultAction | undefined,
): Promise<void> {
  const body = Buffer.from(answer.text ?? (answer.json === undefined ? '' : JSON.stringify(answer.json)))
  const extra = fault?.kind === 'wrong-length' ? (fault.by ?? 10) : 0
  response.writeHead(answer.status, {
    'content-length': body.length + extra,
    ...(answer.json !== undefined && { 'content-type': 'application/json' }),
    ...(answer.text !== undefined && { 'content-type': 'text/plain; version=1.0.0; charset=utf-8' }),
    ...answer.headers,
  })
  if (fault === undefined || fault.kind === 'delay') return void response.end(body)
  response.flushHeaders()
  if (fault.kind === 'die-after-headers') return breakOff(response)
  const first = 'events' in fault && fault.events === 0
  if (fault.kind === 'stall') return void (first || (await send(response, body.subarray(0, -1))))
  if (fault.kind === 'die-in-event' && first) await send(response, body.subarray(0, Math.ceil(body.length / 2)))
  else if (!(fault.kind === 'die-after-events' && first)) await send(response, body)
  breakOff(response)
}

/** Resolves once the kernel has the bytes, so that closing the connection afterwards does not discard them. */
function send(response: ServerResponse, bytes: string | Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

const breakOff = (response: ServerResponse): void => void response.destroy()
