// The affinity header end to end: everything that is sent for a session carries its key, and nobody else's.

import { afterEach, describe, expect, it } from 'vitest'
import type { LoggedRequest } from '../../../src/sim/request-log.ts'
import { ask } from '../../support/client.ts'
import { askChat, type ChatMessage, chat, prose, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { deleteWindow, endSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'
import { settled } from '../../support/windows.ts'

let stack: Stack
afterEach(() => stack.close())

type Headers = Record<string, string>
const opaque = /^[A-Za-z0-9_-]{43}$/

async function start(settings: object = {}): Promise<void> {
  stack = await startStack({ settings: { affinity: 'header:x-flow', ...settings } })
}

const posts = (): LoggedRequest[] => stack.sim.requests.all('engine').filter(({ method }) => method === 'POST')
const flowOf = ({ headers }: LoggedRequest): string => String(headers['x-flow'] ?? 'none')
const flows = (): string[] => [...new Set(posts().map(flowOf))]
const paths = (): string[] => [...new Set(posts().map(({ path }) => path))].sort()

async function turn(words: string, headers: Headers): Promise<string> {
  await chat(stack.url, [user(words)], { headers })
  return flowOf(stack.sim.requests.last('engine') as LoggedRequest)
}

describe('of one session', () => {
  it('a turn, a stream, a count, a freeze and a thaw carry one key', async () => {
    await start()
    const named = { 'x-cwm-session': 'ann' }
    const history: ChatMessage[] = [user(`${prose(600)}. The buoy is called Lomvi.`)]
    await chat(stack.url, history, { headers: { ...named, 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')
    await stack.sim.restartEngine()
    await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'ann', replace: true })
    await askChat(stack.url, [user('And now?')], {
      headers: { ...named, 'x-cwm-overflow': 'reject' },
      body: { stream: true },
    })

    expect(paths()).toEqual(expect.arrayContaining(['/tokenize', '/v1/chat/completions', '/v1/completions']))
    expect(flows()).toEqual([expect.stringMatching(opaque)])
  })

  it('that is found by its history, all turns carry one key', async () => {
    await start()
    const history: ChatMessage[] = [user('The buoy is called Lomvi.')]
    const { reply } = await chat(stack.url, history)
    await chat(stack.url, [...history, reply, user('And now?')])

    expect(posts()).toHaveLength(2)
    expect(flows()).toEqual([expect.stringMatching(opaque)])
  })

  it('the key is the same after a restart, and is neither the salt nor the id sent to the engine', async () => {
    await start()
    const headers = { 'x-cwm-session': 'ann' }
    const before = await turn('one', headers)
    await stack.restart()
    const after = await turn('two', headers)
    const body = JSON.parse(posts().at(-1)?.body.toString() ?? '{}') as { cache_salt: string }

    expect(after).toBe(before)
    expect(body.cache_salt).not.toBe(after)
  })
})

it('two tenants with one session id have two keys', async () => {
  await start()

  const keys = [
    await turn('one', { 'x-cwm-session': 'ann', authorization: 'Bearer a' }),
    await turn('one', { 'x-cwm-session': 'ann', authorization: 'Bearer b' }),
    await turn('one', { 'x-cwm-session': 'bob', authorization: 'Bearer a' }),
  ]

  expect(new Set(keys).size).toBe(3)
})

it.each([
  ['lineage', 1],
  ['session', 2],
])('two sessions thawed from one window have, with affinity_key %s, %i keys', async (affinity_key, count) => {
  await start({ affinity_key })
  await chat(stack.url, [user(prose(600))], { headers: { 'x-cwm-session': 'ann', 'x-cwm-freeze': 'w' } })
  await settled(stack.url, 'w')

  const keys = [
    await turn('one', { 'x-cwm-session': 'sub-1', 'x-cwm-window': 'w' }),
    await turn('two', { 'x-cwm-session': 'sub-2', 'x-cwm-window': 'w' }),
    await turn('three', { 'x-cwm-session': 'sub-1' }),
  ]

  expect(new Set(keys).size).toBe(count)
  expect(keys[2]).toBe(keys[0])
})

it('the warm call of a thaw goes where the turn goes, whichever key is used', async () => {
  for (const affinity_key of ['lineage', 'session']) {
    await start({ affinity_key })
    await chat(stack.url, [user(prose(600))], { headers: { 'x-cwm-session': 'ann', 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')
    stack.sim.requests.clear()

    await turn('one', { 'x-cwm-session': 'sub', 'x-cwm-window': 'w' })

    expect(paths()).toContain('/v1/completions')
    expect(flows()).toHaveLength(1)
    if (affinity_key === 'lineage') await stack.close()
  }
})

it('a client cannot set the key, and its own session ids still separate its conversations', async () => {
  await start()
  const words = 'The same words.'
  const ids = ['x-session-id', 'x-claude-code-session-id', 'session-id']

  for (const name of ids) {
    const one = await turn(words, { [name]: 'conversation-1', 'x-flow': 'mine' })
    const two = await turn(words, { [name]: 'conversation-2', 'x-flow': 'mine' })
    expect([one, two]).toEqual([expect.stringMatching(opaque), expect.stringMatching(opaque)])
    expect(one).not.toBe(two)
  }

  for (const { headers } of posts()) {
    for (const name of ids) expect(headers).not.toHaveProperty(name)
    expect(String(headers['x-flow'])).not.toContain('mine')
  }
})

it('an operator may let tenants send a steering header, but not the affinity header', async () => {
  await start({ allowed_fields: ['x-smg-target-worker', 'x-flow'] })

  await turn('one', { 'x-smg-target-worker': '1', 'x-flow': 'mine' })

  const { headers } = stack.sim.requests.last('engine') as LoggedRequest
  expect(headers['x-smg-target-worker']).toBe('1')
  expect(headers['x-flow']).toMatch(opaque)
})

it('requests without a session have a key each, or that of the space that they share', async () => {
  await start({ isolation: 'tenant' })
  const embed = () => ask(stack.url, '/v1/embeddings', { body: { model: 'sim-model', input: 'a' } })

  await embed()
  await embed()

  const sent = posts().filter(({ path }) => path === '/v1/embeddings')
  expect(sent).toHaveLength(2)
  expect([...new Set(sent.map(flowOf))]).toEqual([expect.stringMatching(opaque)])
})

it('a list of models and a client’s own tokenization belong to no session, and carry no key', async () => {
  await start()

  await ask(stack.url, '/v1/models')
  await ask(stack.url, '/tokenize', { body: { model: 'sim-model', prompt: 'a' }, headers: { 'x-flow': 'mine' } })

  expect(stack.sim.requests.all('engine').map(flowOf)).toEqual(expect.arrayContaining(['none']))
  expect(flows()).toEqual(['none'])
})

it('nothing is added without the setting', async () => {
  await start({ affinity: 'none' })

  expect(await turn('one', { 'x-cwm-session': 'ann' })).toBe('none')
})

it('without the setting, a request that belongs to no session names none to a router either', async () => {
  await start({ affinity: 'none' })
  const headers = { 'x-session-id': 'MTAuMC4wLjU6ODAwMA==', 'x-claude-code-session-id': 'mine', 'x-trace-id': 'mine' }

  await ask(stack.url, '/tokenize', { body: { model: 'sim-model', prompt: 'a' }, headers })
  await ask(stack.url, '/v1/chat/completions/render', { body: { model: 'sim-model', messages: [user('a')] }, headers })

  expect(paths()).toEqual(['/tokenize', '/v1/chat/completions/render'])
  for (const { headers: sent } of posts()) {
    expect(sent).not.toHaveProperty('x-session-id')
    expect(sent).not.toHaveProperty('x-claude-code-session-id')
    expect(sent['x-trace-id']).toBe('mine')
  }
})

it('a path on which the router of the preset drops the salt is refused, unless the operator allows it', async () => {
  const embed = () => ask(stack.url, '/v1/embeddings', { body: { model: 'sim-model', input: 'a' } })
  await start({ affinity: 'vllm-router' })
  expect(await embed()).toMatchObject({ status: 403, text: expect.stringContaining('unsalted_path') })
  expect(posts()).toEqual([])
  await stack.close()

  await start({ affinity: 'vllm-router', unsalted_paths: ['/v1/embeddings'] })
  await embed()
  expect(posts().map(({ body }) => JSON.parse(String(body)))).toEqual([
    expect.objectContaining({ cache_salt: expect.stringMatching(opaque) }),
  ])
})

describe('the router is told of a key whose last session ended', () => {
  const finished = () => posts().filter(({ path }) => path.startsWith('/finish_session'))
  const keyOf = ({ headers }: LoggedRequest) => String(headers['x-session-id'])
  const begin = async (id: string) => {
    await chat(stack.url, [user('hi')], { headers: { 'x-cwm-session': id } })
    return keyOf(stack.sim.requests.last('engine') as LoggedRequest)
  }

  it('once, and only by the preset whose router has the path', async () => {
    await start({ affinity: 'vllm-router' })
    const key = await begin('ann')

    await endSession(stack.url, 'ann')
    await until('the router is told', () => finished().length > 0)

    expect(finished().map(({ path }) => path)).toEqual([`/finish_session?session_id=${key}`])
  })

  it('not while another session of the lineage lives', async () => {
    await start({ affinity: 'vllm-router' })
    await chat(stack.url, [user(prose(600))], { headers: { 'x-cwm-session': 'ann', 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')
    await chat(stack.url, [user('hi')], { headers: { 'x-cwm-session': 'bob', 'x-cwm-window': 'w' } })
    const key = keyOf(stack.sim.requests.last('engine') as LoggedRequest)

    await endSession(stack.url, 'ann')
    expect(finished()).toEqual([])
    await endSession(stack.url, 'bob')
    await until('the router is told', () => finished().length > 0)
    await deleteWindow(stack.url, 'w')

    expect(new Set(finished().map(({ path }) => path))).toEqual(new Set([`/finish_session?session_id=${key}`]))
  })

  it('of each session for itself, if that is the key', async () => {
    await start({ affinity: 'vllm-router', affinity_key: 'session' })
    const key = await begin('ann')
    await begin('bob')

    await endSession(stack.url, 'ann')
    await until('the router is told', () => finished().length > 0)

    expect(finished().map(({ path }) => path)).toEqual([`/finish_session?session_id=${key}`])
  })

  it('by no other preset', async () => {
    await start({ affinity: 'llm-d' })
    await begin('ann')

    await endSession(stack.url, 'ann')

    expect(finished()).toEqual([])
  })
})
