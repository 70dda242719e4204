// Every path that cwm forwards: which of them count toward a rate limit. A new path has to be decided here and in docs/rate-limits.md.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ApiPath, apiPaths } from '../../src/engines/api-paths.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

/** A body with something of everything: the fake engine accepts all of it. */
const body = { model: 'm', prompt: 'hi', input: 'hi', messages: [{ role: 'user', content: 'hi' }], max_tokens: 5 }
const answer = {
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'yes' }, text: 'yes', finish_reason: 'stop' }],
  object: 'response',
  status: 'completed',
  output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'yes' }] }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
}

const forwarded = apiPaths.filter(
  ({ kind, webSocket }) => kind !== 'never' && kind !== 'operator' && webSocket !== true,
)
const computing: readonly ApiPath['kind'][] = ['session', 'salted', 'unsalted']
const limited = forwarded.filter(({ kind }) => computing.includes(kind))
/** The others, whatever their kind. Paths with an id in them have a test below. */
const free = forwarded.filter(({ kind }) => !computing.includes(kind) && kind !== 'stored')

let engine: FakeUpstream
let cwm: Cwm
beforeAll(async () => {
  let answers = 0
  engine = await startFakeUpstream((_, response) => {
    const id = `resp_${answers++}`
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id, ...answer }))
  })
  const unsalted = forwarded.filter(({ kind }) => kind === 'unsalted').map(({ path }) => path)
  cwm = await startCwm(engine.url, { requests_per_minute: 1, unsalted_paths: unsalted })
})
afterAll(async () => {
  await cwm.close()
  await engine.close()
})

/** The answer to one request of a client of its own. */
function sendTo({ path, methods, multipart }: ApiPath) {
  const method = methods.includes('POST') ? 'POST' : (methods[0] ?? 'GET')
  const headers = { authorization: `Bearer key of ${path}` }
  if (multipart !== true) return ask(cwm.url, path, method === 'POST' ? { body, headers } : { method, headers })
  const part = (name: string, value: string) =>
    `--b\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  const file = `--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n`
  return ask(cwm.url, path, {
    body: `${part('model', 'm')}${file}--b--\r\n`,
    headers: { ...headers, 'content-type': 'multipart/form-data; boundary=b' },
  })
}

it.each(limited)('$path ($kind) is limited', async (route) => {
  const got = [await sendTo(route), await sendTo(route)]

  expect(got.map(({ status }) => status)).toEqual([200, 429])
  expect(got[1]?.text).toMatch(/rate_limit/)
  expect(Number(got[1]?.headers['retry-after'])).toBeGreaterThan(0)
})

it.each(free)('$path ($kind) computes nothing, and is not', async (route) => {
  const got = [await sendTo(route), await sendTo(route)]

  expect(got.map(({ status }) => status)).toEqual([200, 200])
  expect(got.map(({ headers }) => headers['x-ratelimit-limit-requests'])).toEqual([undefined, undefined])
})

it('a stored response can be read when nothing may be computed', async () => {
  const headers = { authorization: 'Bearer reader' }
  const made = await ask(cwm.url, '/v1/responses', { body: { model: 'm', input: 'hi' }, headers })
  const second = await ask(cwm.url, '/v1/responses', { body: { model: 'm', input: 'hi' }, headers })

  const read = await ask(cwm.url, `/v1/responses/${jsonOf<{ id: string }>(made).id}`, { headers })

  expect([made.status, errorOf(second).code]).toEqual([200, 'rate_limit_exceeded'])
  expect(read.status).toBe(200)
})
