// An upstream that sends exactly what a test writes, and reports requests and departures of its client.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly method: string
  readonly target: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  /** Resolves when the connection of this request closes, from either side. */
  readonly closed: Promise<void>
}

export interface FakeUpstream {
  readonly url: string
  /** Complete requests, oldest first, without GET /v1/models. */
  readonly received: Received[]
  /** Number of connections opened so far. */
  readonly connections: () => number
  /** Calls back for each request as soon as its headers have arrived. */
  onRequest(seen: (incoming: IncomingMessage) => void): void
  close(): Promise<void>
}

export type Behaviour = (request: Received, response: ServerResponse, incoming: IncomingMessage) => void | Promise<void>

const models = { object: 'list', data: [{ id: 'm', object: 'model', root: './m', parent: null, max_model_len: 8192 }] }

/** Starts it. `GET /v1/models`, which cwm sends itself, is answered here unless `ownModels` is set. */
export async function startFakeUpstream(
  behave: Behaviour,
  options: { ownModels?: boolean } = {},
): Promise<FakeUpstream> {
  const received: Received[] = []
  let connections = 0
  const server = createServer({ keepAliveTimeout: 60_000 }, (incoming, response) => {
    void serve(incoming, response).catch(() => response.destroy())
  })
  const closes = new WeakMap<object, Promise<void>>()
  server.on('connection', (socket) => {
    connections++
    closes.set(socket, new Promise((resolve) => socket.once('close', () => resolve())))
  })
  const serve = async (incoming: IncomingMessage, response: ServerResponse) => {
    const closed = closes.get(incoming.socket) ?? Promise.resolve()
    if (incoming.url === '/v1/models' && incoming.method === 'GET' && options.ownModels !== true) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(models))
      return
    }
    const chunks: Buffer[] = []
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
    const request: Received = {
      method: incoming.method ?? '',
      target: incoming.url ?? '',
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      body: Buffer.concat(chunks),
      closed,
    }
    received.push(request)
    await behave(request, response, incoming)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    connections: () => connections,
    onRequest: (seen) => void server.on('request', seen),
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
}

/** A chat response in vLLM's format. */
export function chatAnswer(content: string): string {
  return JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
  })
}

/** Answers every request with this JSON text. */
export function sayJson(response: ServerResponse, text: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}
