// An upstream on raw sockets, for bytes that no HTTP server would send, and for connections that end in any possible way.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface RawUpstream {
  readonly url: string
  /** Complete requests, head and body, oldest first, without GET /v1/models. */
  readonly requests: readonly string[]
  /** Connections that were opened, oldest first. */
  readonly sockets: readonly Socket[]
  close(): Promise<void>
}

const models = '{"object":"list","data":[{"id":"m","object":"model","root":"./m","parent":null,"max_model_len":8192}]}'

/** Starts it. `behave` is called for each complete request; `count` starts from 1. */
export async function startRawUpstream(
  behave: (socket: Socket, request: string, count: number) => void,
  port = 0,
): Promise<RawUpstream> {
  const requests: string[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    let rest = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      rest += text
      for (let request = first(rest); request !== undefined; request = first(rest)) {
        rest = rest.slice(request.length)
        if (request.startsWith('GET /v1/models ')) {
          socket.write(answer(200, models))
          continue
        }
        requests.push(request)
        behave(socket, request, requests.length)
      }
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    sockets,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A JSON response in wire format. */
export function answer(status: number, body: string, headers: readonly string[] = []): string {
  return (
    head(status, ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, ...headers]) + body
  )
}

export function head(status: number, headers: readonly string[]): string {
  return [`HTTP/1.1 ${status} Status`, ...headers].join('\r\n').concat('\r\n\r\n')
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function first(text: string): string | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0)
  const whole = end + 4 + length
  return text.length < whole ? undefined : text.slice(0, whole)
}
