// A hop between cwm and the simulator that holds each prefill until a test lets it pass, and counts how many were there at once.

import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface PrefillHop {
  readonly url: string
  /** Prefills that wait here, oldest first. Call one to let it pass. */
  readonly held: (() => void)[]
  /** The most that were held or running at once. */
  readonly most: number
  /** Lets everything pass from now on. */
  open(): void
  close(): Promise<void>
}

/** Warm calls go to `/v1/completions`. */
const isPrefill = ({ method, url }: IncomingMessage) => method === 'POST' && url === '/v1/completions'

export async function startPrefillHop(behind: string): Promise<PrefillHop> {
  const held: (() => void)[] = []
  let [current, most, isOpen] = [0, 0, false]
  const server = createServer(async (incoming, response) => {
    if (!isPrefill(incoming)) return forward(behind, incoming, response)
    most = Math.max(most, ++current)
    let gate: (() => void) | undefined
    const over = () => {
      current--
      if (gate !== undefined && held.includes(gate)) held.splice(held.indexOf(gate), 1)
    }
    response.once('close', over)
    const passed = new Promise<void>((resolve) => {
      gate = resolve
    })
    if (!isOpen && gate !== undefined) held.push(gate)
    else gate?.()
    await passed
    forward(behind, incoming, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    held,
    get most() {
      return most
    },
    open: () => {
      isOpen = true
      for (const pass of held.splice(0)) pass()
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
}

function forward(behind: string, incoming: IncomingMessage, response: ServerResponse): void {
  const { hostname, port } = new URL(behind)
  const { method, url: path, headers } = incoming
  const out = httpRequest({ hostname, port, method, path, headers, agent: false }, (answer) => {
    response.writeHead(answer.statusCode ?? 0, answer.statusMessage, answer.rawHeaders)
    answer.pipe(response)
    answer.on('error', () => response.destroy())
  })
  out.on('error', () => response.destroy())
  response.on('close', () => out.destroy())
  incoming.pipe(out)
}
