// A hop between cwm and the simulator that forwards everything, and records the bytes of every response.

import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Hopped {
  readonly target: string
  readonly sent: Buffer
  readonly status: number
  readonly answer: Buffer
}

export interface RecordingHop {
  readonly url: string
  readonly passed: Hopped[]
  /** Targets of requests whose sender left before the response was complete. */
  readonly left: string[]
  close(): Promise<void>
}

export async function startRecordingHop(behind: string): Promise<RecordingHop> {
  const { hostname, port } = new URL(behind)
  const passed: Hopped[] = []
  const left: string[] = []
  const server = createServer((incoming, response) => {
    const sent: Buffer[] = []
    const out = httpRequest(
      { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers, agent: false },
      (answer) => {
        const chunks: Buffer[] = []
        const status = answer.statusCode ?? 0
        response.writeHead(status, answer.statusMessage, answer.rawHeaders)
        response.flushHeaders()
        answer.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          response.write(chunk)
        })
        answer.on('end', () => {
          passed.push({
            target: incoming.url ?? '',
            sent: Buffer.concat(sent),
            status,
            answer: Buffer.concat(chunks),
          })
          response.end()
        })
        answer.on('error', () => response.destroy())
      },
    )
    out.on('error', () => response.destroy())
    response.on('close', () => {
      if (!response.writableFinished) left.push(incoming.url ?? '')
      out.destroy()
    })
    incoming.on('data', (chunk: Buffer) => {
      sent.push(chunk)
      out.write(chunk)
    })
    incoming.on('end', () => out.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    left,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
}
