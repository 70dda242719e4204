// Which endpoint gives the ids, over a real socket; the answers are those that vLLM 0.32 was recorded to give (test/recorded).

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Prompt } from '../base/records.ts'
import { Engine } from './engine.ts'
import { Upstream } from './upstream.ts'

const UNKNOWN_MODEL = { error: { message: 'The model `nope` does not exist.', type: 'NotFoundError', param: 'model' } }
const DISABLED = { error: { message: 'Scale-out endpoints are disabled.', type: 'PermissionDeniedError', param: null } }

let server: Server
let upstream: Upstream
let engine: Engine
let asked: string[]
/** What a path answers for a model: status and body. */
let answer: (path: string, model: string) => readonly [number, unknown]

beforeEach(async () => {
  asked = []
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const path = request.url ?? ''
      asked.push(path)
      const [status, body] = answer(path, JSON.parse(Buffer.concat(chunks).toString()).model)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  upstream = new Upstream({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: 2,
    connectTimeoutMs: 1_000,
    headersTimeoutMs: 1_000,
    bodyTimeoutMs: 1_000,
  })
  engine = new Engine(upstream, 1_000)
})

afterEach(async () => {
  await upstream.close()
  await new Promise((resolve) => server.close(resolve))
})

const prompt = (model: string): Prompt => ({
  dialect: 'responses',
  model,
  messages: [{ role: 'user', content: 'hi' }],
  shaping: {},
})
const noKey = { apiKey: undefined }

// An adapter that was unloaded made every later window of /v1/responses and /v1/messages keep its text alone.
it('still asks to render after a model was unknown: that says nothing of the endpoint', async () => {
  answer = (_, model) => (model === 'nope' ? [404, UNKNOWN_MODEL] : [200, { token_ids: [1, 2] }])

  const unknown = await engine.promptIds(prompt('nope'), noKey)
  const known = await engine.promptIds(prompt('tiny'), noKey)

  expect(unknown).toBeUndefined()
  expect(known).toEqual(Uint32Array.of(1, 2))
})

it.each([
  ['are disabled', 403, DISABLED],
  ['do not exist', 404, { detail: 'Not Found' }],
])('does not ask again where the render endpoints %s', async (_, status, body) => {
  answer = () => [status, body]

  const ids = [await engine.promptIds(prompt('tiny'), noKey), await engine.promptIds(prompt('tiny'), noKey)]

  expect(ids).toEqual([undefined, undefined])
  expect(asked).toEqual(['/v1/responses/render'])
})
