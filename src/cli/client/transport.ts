// Sends one HTTP request and waits for its answer as long as that takes. Not `fetch`, which gives up after 300 s without headers: a question
// to many windows, a freeze, or a thaw may take longer, and its user can interrupt it.

import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'

export interface OutgoingRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Resolves with the response, its body unread. Redirects are not followed. Rejects if the connection fails, and on abort. An abort also breaks
 * the body. Each request has its own connection, so none fails because the server closed an idle one.
 */
export function sendRequest(url: URL, { method, headers, body, signal }: OutgoingRequest): Promise<Response> {
  const options: RequestOptions = {
    method,
    agent: false,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
    ...(signal === undefined ? {} : { signal }),
  }
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = send(url, options, (incoming) => {
      try {
        resolve(toResponse(incoming))
      } catch (thrown) {
        incoming.destroy()
        reject(thrown)
      }
    })
    request.once('error', reject)
    // An error after the response has begun is that of its body.
    request.on('error', () => {})
    request.end(body)
  })
}

/** Statuses whose responses have no body, which `Response` insists on. */
const EMPTY = new Set([204, 205, 304])

function toResponse(incoming: IncomingMessage): Response {
  const { statusCode: status = 0, headersDistinct } = incoming
  const headers = new Headers()
  for (const [name, values] of Object.entries(headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  if (EMPTY.has(status)) {
    incoming.resume()
    return new Response(null, { status, headers })
  }
  return new Response(Readable.toWeb(incoming) as ReadableStream as never, { status, headers })
}
