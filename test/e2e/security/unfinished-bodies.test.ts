// Bodies that never end, on forwarded paths: they wait at cwm and hold no connection to the engine.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { type Stack, startStack } from '../../support/stack.ts'

let stack: Stack | undefined
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await stack?.close()
  stack = undefined
})

/** A connection with a request that announces more bytes than it sends. */
async function halfOpen(url: string, path: string, head: string, body: string): Promise<void> {
  const { port, hostname } = new URL(url)
  const socket = connect(Number(port), hostname)
  sockets.push(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(`POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${head}\r\n\r\n${body}`)
}

it.each([
  ['/tokenize', 'transfer-encoding: chunked', '5\r\nhe'],
  ['/v1/messages/count_tokens', 'content-length: 100', '{"model"'],
  ['/ping', 'transfer-encoding: chunked', '1\r\n{\r\n'],
])('an unfinished body of %s (%s) leaves all connections to others', async (path, head, body) => {
  stack = await startStack({ settings: { connections: 2, max_in_flight: 8 } })
  for (let n = 0; n < 4; n++) await halfOpen(stack.url, path, head, body)

  const models = await fetch(`${stack.url}/v1/models`, { signal: AbortSignal.timeout(5_000) })

  expect(models.status).toBe(200)
  expect(stack.sim.requests.all('engine').filter((request) => request.path === path)).toEqual([])
})

it('a complete body passes unchanged, in chunks or compressed', async () => {
  stack = await startStack()
  const body = '{"model": "sim-model",  "prompt": "one two"}'
  const { port, hostname } = new URL(stack.url)
  const socket = connect(Number(port), hostname)
  sockets.push(socket)
  socket.write(
    `POST /tokenize HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  )
  const [answer] = (await once(socket, 'data')) as [Buffer]

  expect(answer.toString()).toContain('HTTP/1.1 200')
  const sent = stack.sim.requests.last('engine')
  expect(sent?.body.toString()).toBe(body)
  expect(sent?.headers['content-length']).toBe(String(body.length))
  expect(sent?.headers['transfer-encoding']).toBeUndefined()
})
