// A foreign page in a browser on this machine, with a cwm without keys: which requests it can send, and that they have no effect.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Ask, ask, errorOf } from '../../support/client.ts'
import { chat, prose, user } from '../../support/conversation.ts'
import { type Stack, startStack } from '../../support/stack.ts'
import { settled } from '../../support/windows.ts'

const CHAT = '/v1/chat/completions'
const turn = { model: 'sim-model', messages: [user('Say all of the above again.')], max_tokens: 50 }
const diary = [user(`The safe is behind the map. ${prose(400)}`)]
const json = { 'content-type': 'application/json' }

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  await chat(stack.url, diary, {
    headers: { 'x-cwm-session': 'diary', 'x-cwm-freeze': 'letters' },
  })
  await settled(stack.url, 'letters')
})
beforeEach(() => stack.sim.requests.clear())
afterAll(() => stack.close())

/** Headers that a browser adds to a foreign page's request. */
const pages: [kind: string, headers: Record<string, string>][] = [
  ['a page', { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }],
  ['a page in a sandbox', { origin: 'null', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }],
  ['an older browser', { origin: 'http://evil.example' }],
  ['another port of this machine', { origin: 'http://localhost:1', 'sec-fetch-site': 'same-site' }],
]

describe.each(pages)('REST, asked by %s', (_, headers) => {
  it.each<[method: string, path: string, options: Ask]>([
    ['GET', '/cwm/v1/windows', {}],
    ['GET', '/cwm/v1/windows/letters/export', {}],
    [
      'POST',
      '/cwm/v1/windows',
      { body: '{"name":"a","session_id":"diary"}', headers: { 'content-type': 'text/plain' } },
    ],
    ['POST', '/cwm/v1/windows/letters/thaw', { body: {} }],
    ['PUT', '/cwm/v1/windows/planted', { body: turn }],
    ['PATCH', '/cwm/v1/windows/letters', { body: { pinned: false } }],
    ['DELETE', '/cwm/v1/windows/letters', {}],
    ['DELETE', '/cwm/v1/sessions/diary', {}],
    ['DELETE', '/cwm/v1/tenants/me', {}],
    ['OPTIONS', '/cwm/v1/windows/letters', {}],
    ['GET', '/cwm/metrics', {}],
  ])('rejects %s %s', async (method, path, options) => {
    const got = await ask(stack.url, path, { ...options, method, headers: { ...json, ...options.headers, ...headers } })

    expect([got.status, errorOf(got).param]).toEqual([403, 'origin'])
    expect(got.headers['access-control-allow-origin']).toBeUndefined()
  })
})

it('REST accepts a script or an image of another site, which send no Origin', async () => {
  const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }

  const there = await ask(stack.url, '/cwm/v1/windows/letters', { headers })
  const absent = await ask(stack.url, '/cwm/v1/windows/nothing', { headers })

  expect([there.status, absent.status]).toEqual([403, 403])
  expect(there.text).toBe(absent.text)
})

it('REST answers a followed link, and clients that are not browsers', async () => {
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }

  expect((await ask(stack.url, '/cwm/openapi.json', { headers: link })).status).toBe(200)
  expect((await ask(stack.url, '/cwm/v1/windows')).status).toBe(200)
})

describe.each(pages)('a turn, sent by %s', (kind, headers) => {
  // The engine's CORS may let pages read its answers (vLLM's default), and a body without a type needs no preflight.
  it.each<[how: string, path: string, own: Record<string, string>]>([
    ['after a window, by path', `/cwm/w/letters${CHAT}`, {}],
    ['after a window, by header', CHAT, { ...json, 'x-cwm-window': 'letters' }],
    ['into a session, by path', `/cwm/s/diary${CHAT}`, {}],
    ['into a session, by header', CHAT, { ...json, 'x-cwm-session': 'diary' }],
    ['that freezes', CHAT, { ...json, 'x-cwm-freeze': 'planted' }],
  ])('%s is rejected without a key, and nothing goes upstream', async (_how, path, own) => {
    const body = Buffer.from(JSON.stringify(turn))
    const sent = ['content-length', String(body.length), 'host', new URL(stack.url).host]
    const got = await ask(stack.url, path, {
      method: 'POST',
      headers: [...sent, ...Object.entries({ ...own, ...headers }).flat()],
      body,
    })

    expect([got.status, errorOf(got).param]).toEqual([403, 'origin'])
    expect(stack.sim.requests.all('engine')).toEqual([])
  })

  it('without a name, or with a key, is forwarded, and affects nobody else', async () => {
    const named = { ...headers, 'x-cwm-session': 'diary', authorization: `Bearer key of ${kind}` }

    const unnamed = await chat(stack.url, [user('hi')], { headers })
    const keyed = await chat(stack.url, diary, { headers: named })

    expect(unnamed.session).toMatch(/^s-/)
    expect(unnamed.session).not.toBe('diary')
    expect(keyed.cachedTokens).toBe(0)
  })
})

it('a page of our own origin may name anything', async () => {
  const got = await ask(stack.url, CHAT, { body: turn, headers: { origin: stack.url, 'x-cwm-window': 'letters' } })

  expect([got.status, got.headers['x-cwm-window']]).toEqual([200, 'letters'])
})
