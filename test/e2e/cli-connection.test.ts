// How the commands reach cwm: as long as an answer takes, and what they say if there is none.

import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { afterEach, expect, it } from 'vitest'
import { Rest, UnreachableError } from '../../src/cli/client/rest.ts'

let server: Server | undefined
afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
})

async function serve(answer: RequestListener): Promise<Rest> {
  server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return new Rest(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { authorization: 'Bearer secret' })
}

// The time limit of fetch is 300 s. Here it is shortened until fetch itself shows that it has passed.
it('waits for headers for longer than fetch would', async () => {
  const dispatcher = getGlobalDispatcher()
  setGlobalDispatcher(new Agent({ headersTimeout: 50 }))
  try {
    const waiting: ServerResponse[] = []
    const rest = await serve((_, response) => waiting.push(response))
    const answer = rest.json('/cwm/v1/ask', { method: 'POST', body: { question: 'slow?' } })

    await expect(fetch(rest.url)).rejects.toMatchObject({ cause: { code: 'UND_ERR_HEADERS_TIMEOUT' } })
    for (const response of waiting) response.end('{"data":["at last"]}')

    expect(await answer).toEqual({ data: ['at last'] })
  } finally {
    setGlobalDispatcher(dispatcher)
  }
})

it('stops waiting when it is interrupted, and closes the connection', async () => {
  const interrupt = new AbortController()
  let closed: Promise<unknown> | undefined
  const rest = await serve((request) => {
    closed = once(request.socket, 'close')
    interrupt.abort(new Error('enough'))
  })

  await expect(rest.json('/x', { signal: interrupt.signal })).rejects.toThrow('enough')
  await closed
})

it('says where a redirect leads, instead of sending the key there', async () => {
  const rest = await serve((_, response) => {
    response.writeHead(308, { location: 'https://elsewhere.example/' }).end('moved')
  })

  const failure = await rest.json('/cwm/v1/windows').catch((thrown: unknown) => thrown)

  expect(failure).toBeInstanceOf(UnreachableError)
  expect(String(failure)).toContain('redirects to https://elsewhere.example/; set --url')
})

it('sends text as UTF-8 with its length', async () => {
  const rest = await serve(async (request, response) => {
    let bytes = 0
    for await (const chunk of request) bytes += (chunk as Buffer).length
    response.end(JSON.stringify({ data: [bytes, request.headers['content-length'], request.headers.authorization] }))
  })

  const body = { text: 'grün 窓' }
  const length = Buffer.byteLength(JSON.stringify(body))

  expect(await rest.json('/x', { method: 'PUT', body })).toEqual({ data: [length, String(length), 'Bearer secret'] })
})

it('accepts an answer without a body', async () => {
  const rest = await serve((_, response) => {
    response.writeHead(204).end()
  })

  expect((await rest.send('/x', { method: 'DELETE' })).status).toBe(204)
})
