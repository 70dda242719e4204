// Credentials that identify a sender: everything forwarded as a credential counts, on every path.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf } from '../support/client.ts'
import { askChat, chat, saltsIn, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

const lastSalt = () => saltsIn(stack.sim.requests.last('engine')?.body ?? Buffer.alloc(0))[0]

type Headers = Record<string, string>
const senders: [string, Headers, Headers][] = [
  ['api-key', { 'api-key': 'A' }, { 'api-key': 'B' }],
  ['x-api-key', { 'x-api-key': 'C' }, { 'x-api-key': 'D' }],
  ['Basic', { authorization: 'Basic YTph' }, { authorization: 'Basic YTpi' }],
  [
    'Basic of a front proxy beside one key',
    { authorization: 'Basic YTph', 'x-api-key': 'K' },
    { authorization: 'Basic YTpi', 'x-api-key': 'K' },
  ],
  ['api-key against none', { 'api-key': 'E' }, {}],
]

describe.each(senders)('two clients that differ by %s', (name, one, two) => {
  const id = name.replaceAll(' ', '-')

  it('share neither session nor salt, and cannot read each other’s windows', async () => {
    const words = [user(`Only for one, by ${name}.`)]
    await chat(stack.url, words, { headers: { ...one, 'x-cwm-session': id, 'x-cwm-freeze': id } })
    await settled(stack.url, id, one)
    const mine = lastSalt()

    await chat(stack.url, words, { headers: { ...two, 'x-cwm-session': id } })
    const theirs = stack.sim.requests.all('engine').findLast(({ path }) => path === '/v1/chat/completions')

    expect(saltsIn(theirs?.body ?? Buffer.alloc(0))[0]).not.toBe(mine)
    const paths = ['', '/export', '/messages'].map((path) => `/cwm/v1/windows/${id}${path}`)
    for (const path of paths) expect((await ask(stack.url, path, { headers: two })).status).toBe(404)
    expect((await ask(stack.url, `/cwm/v1/windows/${id}`, { headers: one })).status).toBe(200)
  })
})

it.each<[string, Headers]>([
  ['Bearer and api-key', { authorization: 'Bearer a', 'api-key': 'b' }],
  ['x-api-key and api-key', { 'x-api-key': 'a', 'api-key': 'b' }],
])('two different keys in %s are rejected on every path', async (_, headers) => {
  const before = stack.sim.requests.all('engine').length

  for (const got of [
    await askChat(stack.url, [user('hello')], { headers }),
    await ask(stack.url, '/cwm/v1/windows', { headers }),
    await ask(stack.url, '/v1/models', { headers }),
  ]) {
    expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_header'])
  }
  expect(stack.sim.requests.all('engine').length).toBe(before)
})
