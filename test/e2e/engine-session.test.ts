// The session id that the engine receives, by body or header: never the client's own, because vLLM adds it to its KV events.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf } from '../support/client.ts'
import { prose, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterEach(() => stack.sim.requests.clear())
afterAll(() => stack.close())

type Headers = Record<string, string>
let count = 0

interface Told {
  readonly text: string
  readonly inBody: unknown
  readonly inHeader: string | undefined
  readonly session: string
}

/** What the engine received for a turn. The body is given as text, so that keys may be repeated. */
async function turn(
  members: string,
  headers: Headers = {},
  path = '/v1/chat/completions',
  words?: string,
): Promise<Told> {
  const content = words ?? `Turn ${++count}`
  const messages =
    path === '/v1/responses' ? `"input":"${content}"` : `"messages":[{"role":"user","content":"${content}"}]`
  const limit = path === '/v1/responses' ? 'max_output_tokens' : 'max_tokens'
  const got = await ask(stack.url, path, {
    body: `{"model":"sim-model","${limit}":20,${messages}${members === '' ? '' : ','}${members}}`,
    headers: { 'content-type': 'application/json', ...headers },
  })
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  const sent = stack.sim.requests.all('engine').findLast((entry) => entry.path === path)
  if (sent === undefined) throw new Error('nothing was sent')
  const text = sent.body.toString()
  const at = sent.rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'x-session-id')
  return {
    text,
    inBody: (JSON.parse(text) as { session_id?: unknown }).session_id,
    inHeader: at === -1 ? undefined : sent.rawHeaders[at + 1],
    session: String(got.headers['x-cwm-session']),
  }
}

const opaque = /^[A-Za-z0-9_-]{43}$/
const paths = ['/v1/chat/completions', '/v1/responses', '/v1/messages']

describe.each(paths)('on %s the engine gets', (path) => {
  it('an opaque id instead of the client’s, the same in body and header', async () => {
    const told = await turn('"session_id":"mine-1"', { 'X-Session-ID': 'mine-2' }, path)

    expect(told.inBody).toMatch(opaque)
    expect(told.inHeader).toBe(told.inBody)
    expect(told.text).not.toContain('mine-')
  })

  it('none if the client sends none', async () => {
    const told = await turn('', {}, path)

    expect([told.inBody, told.inHeader]).toEqual([undefined, undefined])
    expect(told.text).not.toContain('session_id')
  })
})

it.each(['x-claude-code-session-id', 'session-id', 'thread-id', 'x-session-affinity'])(
  'replaces %s too, by which routers place requests',
  async (name) => {
    const { session } = await turn('', { [name]: 'mine' })

    expect(stack.sim.requests.last('engine')?.headers[name]).toMatch(opaque)
    expect(session).not.toBe('')
  },
)

it('the engine gets one id per lineage, for all its turns, and another for each other lineage and tenant', async () => {
  const named = (id: string, key: string) => ({ 'x-cwm-session': id, 'x-session-id': 'theirs', 'x-api-key': key })

  const told = [
    await turn('', named('one', 'a')),
    await turn('', named('one', 'a')),
    await turn('', named('two', 'a')),
    await turn('', named('one', 'b')),
  ].map(({ inHeader }) => inHeader)

  expect(told[1]).toBe(told[0])
  expect(new Set(told).size).toBe(3)
})

it('the engine’s id is not the salt', async () => {
  const { text, inBody } = await turn('"session_id":"mine"')

  expect((JSON.parse(text) as { cache_salt: string }).cache_salt).not.toBe(inBody)
})

it.each([
  ['of any JSON type', '"session_id":{"id":"mine"}'],
  ['with the key escaped', '"session\\u005fid":"mine"'],
])('replaces an id %s', async (_, members) => {
  const told = await turn(members)

  expect(told.inBody).toMatch(opaque)
  expect(told.text).not.toContain('mine')
})

it.each(['null', '""'])('keeps %s, which names nobody', async (value) => {
  const told = await turn(`"session_id":${value}`)

  expect(told.inBody).toBe(JSON.parse(value))
})

it('keeps an id inside a tool', async () => {
  const tools = '"tools":[{"type":"function","function":{"name":"f","parameters":{"session_id":"kept"}}}]'

  expect((await turn(`${tools},"session_id":"mine"`)).text).toContain('"session_id":"kept"')
})

it('the client’s own value still narrows the search for its history', async () => {
  const words = `The same words. ${prose(20)}`
  const first = await turn('"session_id":"a"', {}, '/v1/chat/completions', words)
  const other = await turn('"session_id":"b"', {}, '/v1/chat/completions', words)

  expect(other.session).not.toBe(first.session)
  expect(other.inBody).not.toBe(first.inBody)
})

it.each(['agent_hint', 'nvext', 'kv_hints'])(
  '%s, which refers to other sessions and KV, is rejected',
  async (field) => {
    for (const path of paths) {
      const got = await ask(stack.url, path, {
        body: { model: 'sim-model', max_tokens: 5, messages: [user('hi')], input: 'hi', [field]: { session_id: 'x' } },
      })
      expect([got.status, errorOf(got).param ?? field]).toEqual([400, field])
    }
    expect(stack.sim.requests.all('engine').filter(({ method }) => method === 'POST')).toEqual([])
  },
)
