// A router before several engines, as far as cwm can see one: it forwards each request to the engine that a rule chooses.

import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeRouterOptions {
  /** The engine of a request: an index into `engines`. */
  readonly choose: (headers: IncomingHttpHeaders) => number
  /** Answers of its own, by path. */
  readonly own?: Readonly<Record<string, unknown>>
}

export interface FakeRouter {
  readonly url: string
  close(): Promise<void>
}

/** Starts a router before the engines with these URLs. */
export async function startFakeRouter(
  engines: readonly string[],
  { choose, own = {} }: FakeRouterOptions,
): Promise<FakeRouter> {
  const server = createServer((incoming, response) => {
    const path = incoming.url ?? ''
    if (Object.hasOwn(own, path)) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(own[path]))
      return
    }
    const { hostname, port } = new URL(engines[choose(incoming.headers)] ?? '')
    const { method, headers } = incoming
    const out = httpRequest({ hostname, port, method, path, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.rawHeaders)
      answer.pipe(response)
    })
    out.on('error', () => response.destroy())
    response.on('close', () => out.destroy())
    incoming.pipe(out)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
}

/** Chooses by a hash of one header, as consistent hashing does: equal values, equal engines. Without the header, the first. */
export function byHeader(name: string, engines: number): FakeRouterOptions['choose'] {
  return (headers) => {
    const value = String(headers[name] ?? '')
    let sum = 0
    for (const character of value) sum = (sum * 31 + character.charCodeAt(0)) % 65_521
    return sum % engines
  }
}

/** Ignores what a request belongs to. */
export function inTurn(engines: number): FakeRouterOptions['choose'] {
  let next = 0
  return () => next++ % engines
}
