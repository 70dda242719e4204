// Requests that are small to send and expensive to answer: each is rejected with its reason, and cwm answers the next one.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Ask, ask, errorOf } from '../../support/client.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const deep = '['.repeat(200_000) + ']'.repeat(200_000)
const file = `{"format":"cwm-window","version":1,"name":"x","dialect":"chat","model":"m","messages":${deep},"shaping":{},"reply_at":0,"token_ids":"","checksum":""}`
const tags = Array.from({ length: 5_000 }, (_, i) => `tag=t${i}`).join('&')

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

it.each<[what: string, path: string, options: Ask, code: string]>([
  ['a nested chat', '/v1/chat/completions', { body: `{"model":"m","messages":${deep}}` }, 'body_too_deep'],
  [
    'a nested window',
    '/cwm/v1/windows/w',
    { method: 'PUT', body: `{"model":"m","messages":${deep}}` },
    'body_too_deep',
  ],
  ['a nested file', '/cwm/v1/windows/import', { body: file }, 'body_too_deep'],
  [
    'a name that is a list',
    '/cwm/v1/windows/w/clone',
    { body: `{"name":${deep.slice(170_000, 230_000)}}` },
    'body_too_deep',
  ],
  ['thousands of tags', `/cwm/v1/windows?${tags}`, {}, 'invalid_field'],
  ['a wait of years', '/cwm/v1/windows/w?wait_ms=99999999999', {}, 'invalid_field'],
  ['a page of millions', '/cwm/v1/sessions?limit=9999999', {}, 'invalid_field'],
  [
    'a model of a megabyte',
    '/v1/chat/completions',
    { body: { model: 'm'.repeat(1e6), messages: [] } },
    'invalid_field',
  ],
])('%s', async (_, path, options, code) => {
  const got = await ask(stack.url, path, options)
  const next = await ask(stack.url, '/cwm/v1/windows')

  expect([got.status, errorOf(got).code]).toEqual([400, code])
  expect(next.status).toBe(200)
  expect(stack.sim.requests.all('engine').filter(({ method }) => method === 'POST')).toEqual([])
})
