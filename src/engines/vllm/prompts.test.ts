// Which endpoint returns the ids, over a real socket. The answers were recorded from vLLM 0.32 (test/recorded).

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Prompt } from '../../base/records.ts'
import { Upstream } from '../upstream.ts'
import { VllmPrompts } from './prompts.ts'

const UNKNOWN_MODEL = { error: { message: 'The model `nope` does not exist.', type: 'NotFoundError', param: 'model' } }
const DISABLED = { error: { message: 'Scale-out endpoints are disabled.', type: 'PermissionDeniedError', param: null } }

let server: Server
let upstream: Upstream
let prompts: VllmPrompts
let asked: string[]
/** The answer of a path for a model: status and body. */
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
  prompts = new VllmPrompts(upstream)
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

// An unloaded adapter once made every later window of /v1/responses and /v1/messages text only.
it('still uses the render endpoint after an unknown model, which says nothing about the endpoint', async () => {
  answer = (_, model) => (model === 'nope' ? [404, UNKNOWN_MODEL] : [200, { token_ids: [1, 2] }])

  const unknown = await prompts.tokenIds(prompt('nope'), noKey)
  const known = await prompts.tokenIds(prompt('tiny'), noKey)

  expect(unknown).toBeUndefined()
  expect(known).toEqual(Uint32Array.of(1, 2))
})

it.each([
  ['are disabled', 403, DISABLED],
  ['do not exist', 404, { detail: 'Not Found' }],
])('asks to tokenize alone where the render endpoints %s', async (_, status, body) => {
  answer = (path) => (path === '/tokenize' ? [200, { tokens: [1, 2, 3] }] : [status, body])

  const ids = await prompts.tokenIds(prompt('tiny'), noKey)
  const tokens = await prompts.countTokens(prompt('tiny'), noKey)

  expect(ids).toEqual(Uint32Array.of(1, 2, 3))
  expect(tokens).toBe(3)
  expect(asked).toEqual(['/v1/responses/render', '/tokenize', '/tokenize'])
})

// The ids would belong to another order of members; the number of tokens is nearly the same.
it('counts calls of /v1/responses by /tokenize, without using its ids', async () => {
  answer = (path) => (path === '/tokenize' ? [200, { tokens: [1, 2, 3] }] : [403, DISABLED])
  const call = { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' }
  const called = { ...prompt('tiny'), messages: [{ role: 'user', content: 'hi' }, call] }

  expect(await prompts.countTokens(called, noKey)).toBe(3)
  expect(await prompts.tokenIds(called, noKey)).toBeUndefined()
})

it('counts a bare text with /tokenize', async () => {
  answer = () => [200, { tokens: [7, 7, 7] }]

  expect(await prompts.countText('tiny', 'bbb', noKey)).toBe(3)
  expect(asked).toEqual(['/tokenize'])
})

it.each([404, 405])('counts no text where /tokenize answers %d', async (status) => {
  answer = () => [status, { detail: 'no' }]

  expect(await prompts.countText('tiny', 'a', noKey)).toBeUndefined()
})
