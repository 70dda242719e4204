// A hop between cwm and a server behind it. It forwards and records everything, so that a test sees what was really sent
// over the wire; and it can hold or reject a call, so that a test can act between two steps.

import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { Stored } from './stack.ts'

export interface Exchange {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly requestBody: Buffer
  /** Bytes of the answer's body as they came, transfer coding taken off. */
  readonly responseBody: Buffer
}

/** Whether to hold the call `before` it is forwarded, or `after` its response has arrived. */
type Moment = 'before' | 'after'

interface Snare {
  readonly path: string
  readonly moment: Moment
  readonly caught: () => void
  readonly until: Promise<void>
}

export interface Hold {
  /** Resolves when the call has arrived and is held. */
  readonly caught: Promise<void>
  release(): void
}

export interface Hop {
  readonly url: string
  readonly exchanges: readonly Exchange[]
  /** The newest exchange of that path. Throws when there is none. */
  last(path: string): Exchange
  /** Salt and ids of the newest warm call, which name the chunks of the window that was just frozen or thawed. */
  lastWarm(): Stored
  /** The salts of all calls whose body contains this text, without repeats. */
  saltsOf(text: string): string[]
  /** Holds the next call of that path. */
  hold(path: string, moment: Moment): Hold
  /** Answers the next call of that path with 500, once. */
  refuse(path: string): void
  close(): Promise<void>
}

export async function startHop(target: string): Promise<Hop> {
  const exchanges: Exchange[] = []
  const snares: Snare[] = []
  const refused: string[] = []
  const agent = new Agent({ keepAlive: true })

  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const path = incoming.url ?? '/'
    const method = incoming.method ?? 'GET'
    const requestBody = await buffer(incoming)
    const snare = takeFirst(snares, (one) => one.path === path)
    const refuses = takeFirst(refused, (one) => one === path) !== undefined
    if (snare?.moment === 'before') await wait(snare)
    if (refuses) {
      outgoing.writeHead(500, { 'content-type': 'application/json' })
      outgoing.end('{"error":{"message":"refused by the test","type":"InternalServerError","param":null,"code":500}}')
      return
    }
    const answer = await send(new URL(path, target), method, incoming.rawHeaders, requestBody, agent, outgoing)
    if (snare?.moment === 'after') await wait(snare)
    const chunks: Buffer[] = []
    answer.on('data', (chunk: Buffer) => chunks.push(chunk))
    answer.once('end', () => {
      const responseBody = Buffer.concat(chunks)
      exchanges.push({ method, path, headers: incoming.headers, requestBody, responseBody })
    })
    outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    outgoing.flushHeaders()
    await pipeline(answer, outgoing)
  }

  const server = createServer((incoming, outgoing) => {
    // Failures here (a killed proxy, an aborted call) break the connection, as they would without the hop.
    pass(incoming, outgoing).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  const last = (path: string) => {
    const found = exchanges.findLast((exchange) => exchange.path === path)
    if (found === undefined) throw new Error(`the hop has seen no ${path}`)
    return found
  }
  return {
    url: `http://127.0.0.1:${port}`,
    exchanges,
    last,
    lastWarm() {
      const { prompt, cache_salt } = JSON.parse(last('/v1/completions').requestBody.toString())
      return { ids: prompt as number[], salt: cache_salt as string }
    },
    saltsOf(text) {
      const bodies = exchanges.map(({ requestBody }) => requestBody.toString()).filter((body) => body.includes(text))
      const salts = bodies.map((body) => /"cache_salt":"([\w-]+)"/.exec(body)?.[1])
      return [...new Set(salts.filter((salt) => salt !== undefined))]
    },
    hold(path, moment) {
      const [caught, until] = [gate(), gate()]
      snares.push({ path, moment, caught: caught.open, until: until.passed })
      return { caught: caught.passed, release: until.open }
    },
    refuse(path) {
      refused.push(path)
    },
    async close() {
      agent.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function send(
  url: URL,
  method: string,
  rawHeaders: string[],
  body: Buffer,
  agent: Agent,
  outgoing: ServerResponse,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method, agent, headers: withoutFraming(rawHeaders) }, resolve)
    call.on('error', reject)
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) call.destroy()
    })
    call.end(body)
  })
}

/** Headers without framing, because the body is sent complete here. */
function withoutFraming(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase()
    if (name !== 'transfer-encoding' && name !== 'connection') headers[name] = raw[i + 1] ?? ''
  }
  return headers
}

function takeFirst<T>(list: T[], fits: (item: T) => boolean): T | undefined {
  const at = list.findIndex(fits)
  return at === -1 ? undefined : list.splice(at, 1)[0]
}

async function wait(snare: Snare): Promise<void> {
  snare.caught()
  await snare.until
}

function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = () => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}
