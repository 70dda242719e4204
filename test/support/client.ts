// A client on plain node:http with one connection per request. It returns the response byte for byte, and whether it ended cleanly.

import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { within } from './deadline.ts'

export interface Ask {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders | readonly string[]
  /** Objects are sent as JSON. */
  readonly body?: Buffer | string | object
  readonly signal?: AbortSignal
  /** Called with each part of the response body. */
  readonly onText?: (text: string) => void
}

export interface Got {
  readonly status: number
  readonly statusText: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly text: string
  /** False if the connection broke before the response was complete. */
  readonly clean: boolean
}

const DEADLINE_MS = 15_000

/** Sends a request, and reads the response until it ends or breaks. Rejects if no response starts. */
export function ask(url: string, path: string, options: Ask = {}): Promise<Got> {
  const { method = options.body === undefined ? 'GET' : 'POST', signal } = options
  const plain = typeof options.body === 'string' || Buffer.isBuffer(options.body) || options.body === undefined
  const body = plain ? (options.body as Buffer | string | undefined) : JSON.stringify(options.body)
  const headers = Array.isArray(options.headers)
    ? [...options.headers]
    : {
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...(options.headers as OutgoingHttpHeaders | undefined),
      }
  const { hostname, port } = new URL(url)
  const got = new Promise<Got>((resolve, reject) => {
    const request = httpRequest(
      { hostname, port, path, method, headers, agent: false, ...(signal === undefined ? {} : { signal }) },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          options.onText?.(chunk.toString('utf8'))
        })
        response.on('error', () => {})
        response.on('close', () => {
          const whole = Buffer.concat(chunks)
          resolve({
            status: response.statusCode ?? 0,
            statusText: response.statusMessage ?? '',
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            body: whole,
            text: whole.toString('utf8'),
            clean: response.complete,
          })
        })
      },
    )
    request.on('error', reject)
    request.end(body)
  })
  return within(`an answer to ${method} ${path}`, got, DEADLINE_MS)
}

/** The answer's JSON. */
export function jsonOf<T = Record<string, unknown>>(got: Got): T {
  return JSON.parse(got.text) as T
}

export interface ErrorShape {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string
}

/** The error in an OpenAI-style response. */
export function errorOf(got: Got): ErrorShape {
  return jsonOf<{ error: ErrorShape }>(got).error
}

/** Writes raw bytes, and reads until the other side closes. */
export function rawExchange(url: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(url)
  const read = new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.write(bytes)
  })
  return within('the other side closes', read, DEADLINE_MS)
}

/** Removes the request id, which differs in each response, so that two responses can be compared. */
export function withoutOwnHeaders(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-cwm-') && name !== 'date'))
}
