// User ids in request bodies: ids of any JSON type separate users, and one user's conversations stay that user's.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { JsonValue } from '../../src/base/json.ts'
import { ask, jsonOf } from '../support/client.ts'
import { prose, saltsIn } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let stack: Stack
beforeEach(async () => {
  stack = await startStack({ settings: { isolation: 'user' } })
})
afterEach(() => stack.close())

interface Sent {
  readonly session: string
  readonly salt: string
  /** The body that the engine received. */
  readonly prompt: string
  readonly cached: number
  readonly reply: readonly object[]
}

interface Said {
  readonly userId?: JsonValue
  readonly messages: readonly object[]
  readonly system?: string
  readonly headers?: Record<string, string>
}

/** One turn on Anthropic's messages. */
async function say({ userId, messages, system, headers }: Said): Promise<Sent> {
  const got = await ask(stack.url, '/v1/messages', {
    body: {
      model: 'sim-model',
      max_tokens: 20,
      messages,
      ...(system === undefined ? {} : { system }),
      ...(userId === undefined ? {} : { metadata: { user_id: userId } }),
    },
    headers: { 'anthropic-version': '2023-06-01', ...headers },
  })
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  const sent = stack.sim.requests.all('engine').findLast(({ path }) => path === '/v1/messages')?.body ?? Buffer.alloc(0)
  const answer = jsonOf<{ content: object[]; usage: { cache_read_input_tokens?: number } }>(got)
  return {
    session: String(got.headers['x-cwm-session']),
    salt: saltsIn(sent)[0] ?? '',
    prompt: sent.toString(),
    cached: answer.usage.cache_read_input_tokens ?? 0,
    reply: answer.content,
  }
}

describe('an id that is not a string', () => {
  it.each<[string, JsonValue, JsonValue]>([
    ['numbers', 1, 2],
    ['a number and its text', 1, '1'],
    ['true and false', true, false],
    ['lists', [1], [2]],
    ['objects', { id: 'ann' }, { id: 'bob' }],
  ])('keeps two users with the same text apart: %s', async (_, one, two) => {
    const first = [{ role: 'user', content: 'What stands in my contract?' }]
    const opened = await say({ userId: one, messages: first, headers: { 'x-cwm-freeze': 'contract' } })
    await settled(stack.url, 'contract')
    await say({
      userId: one,
      messages: [{ role: 'user', content: 'Only the first user reads this.' }],
      headers: { 'x-cwm-session': 'behind', 'x-cwm-window': 'contract' },
    })
    const replayed = [...first, { role: 'assistant', content: opened.reply }, { role: 'user', content: 'And then?' }]

    const theirs = await say({ userId: two, messages: replayed })
    const own = await say({ userId: one, messages: replayed })

    expect(theirs.session).not.toBe(opened.session)
    expect(theirs.salt).not.toBe(opened.salt)
    expect(theirs.prompt).not.toContain('Only the first user')
    expect([own.session, own.salt]).toEqual([opened.session, opened.salt])
  })
})

describe('two new conversations', () => {
  const instructions = `You are an agent. ${prose(600)}`
  const claudeCode = (session: string, device = 'ab'.repeat(32)) =>
    JSON.stringify({ device_id: device, account_uuid: '', session_id: session })
  const sessions = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const
  const ask1 = [{ role: 'user', content: 'Read the README.' }]
  const ask2 = [{ role: 'user', content: 'Fix the tests.' }]
  const begin = (messages: readonly object[], session: string, device?: string) =>
    say({
      userId: claudeCode(session, device),
      messages,
      system: instructions,
      headers: { 'x-claude-code-session-id': session },
    })

  it('of one user’s Claude Code are two sessions, and the second finds the system prompt cached', async () => {
    const one = await begin(ask1, sessions[0])
    const two = await begin(ask2, sessions[1])

    expect(two.session).not.toBe(one.session)
    expect(one.cached).toBe(0)
    expect(two.cached).toBeGreaterThan(500)
  })

  it('of Claude Code on two devices without an account share nothing', async () => {
    await begin(ask1, sessions[0])
    const two = await begin(ask2, sessions[1], 'cd'.repeat(32))

    expect(two.cached).toBe(0)
  })

  it.each(['x-openwebui-user-id', 'x-litellm-end-user-id'])(
    'belong to one user if the header %s names one',
    async (name) => {
      const by = (who: string, messages: readonly object[]) =>
        say({ messages, system: instructions, headers: { [name]: who } })
      await by('ann', ask1)

      const hers = await by('ann', ask2)
      const his = await by('bob', ask2)

      expect(hers.cached).toBeGreaterThan(500)
      expect(his.cached).toBe(0)
    },
  )
})
