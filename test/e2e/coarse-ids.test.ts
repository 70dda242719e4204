// Ids that clients send for more than one conversation: they narrow the search for a history, and never identify a session.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, jsonOf } from '../support/client.ts'
import { chat, system, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

interface Said {
  readonly session: string
  readonly reply: object
}

interface Sender {
  readonly headers?: Record<string, string>
  readonly body?: object
}

/** One turn on chat completions. */
const onChat = (messages: readonly object[], { headers, body }: Sender): Promise<Said> =>
  chat(stack.url, messages, { ...(headers === undefined ? {} : { headers }), ...(body === undefined ? {} : { body }) })

/** One turn on Anthropic's messages. */
async function onMessages(messages: readonly object[], { headers, body }: Sender): Promise<Said> {
  const got = await ask(stack.url, '/v1/messages', {
    body: { model: 'sim-model', max_tokens: 30, messages, ...body },
    headers: { 'x-api-key': 'claude', 'anthropic-version': '2023-06-01', ...headers },
  })
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  return {
    session: String(got.headers['x-cwm-session']),
    reply: { role: 'assistant', content: jsonOf<{ content: object[] }>(got).content },
  }
}

/** One turn on responses. */
async function onResponses(input: readonly object[], { headers, body }: Sender): Promise<Said & { items: object[] }> {
  const got = await ask(stack.url, '/v1/responses', {
    body: { model: 'sim-model', input, ...body },
    headers: { authorization: 'Bearer codex', ...headers },
  })
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  const items = jsonOf<{ output: object[] }>(got).output
  return { session: String(got.headers['x-cwm-session']), reply: items[0] ?? {}, items }
}

const distinct = (turns: readonly Said[]) => new Set(turns.map(({ session }) => session)).size

describe('Open WebUI', () => {
  const sender = (chatId: string, key = 'webui') => ({
    headers: { authorization: `Bearer ${key}`, 'x-openwebui-chat-id': chatId, 'x-openwebui-user-id': 'u-1' },
  })
  const task = (name: string, history: string) => [
    user(`### Task: ${name}\n<chat_history>\n${history}\n</chat_history>`),
  ]

  it('separates a chat from its title, tags and follow-up calls, which have its id', async () => {
    const question = user('How is bread made?')
    const first = await onChat([question], sender('c-1'))
    const history = `USER: How is bread made?\nASSISTANT: ${JSON.stringify(first.reply)}`
    const tasks = await Promise.all(
      ['title', 'tags', 'follow-ups'].map((name) => onChat(task(name, history), sender('c-1'))),
    )
    const second = await onChat([question, first.reply, user('And rye?')], sender('c-1'))
    const third = await onChat(
      [question, first.reply, user('And rye?'), second.reply, user('And oats?')],
      sender('c-1'),
    )

    expect([second.session, third.session]).toEqual([first.session, first.session])
    expect(distinct([first, ...tasks])).toBe(4)
  })

  it('separates equal text in two chats, for all turns', async () => {
    const [one, two] = await Promise.all(['c-2', 'c-3'].map((id) => onChat([user('Hello')], sender(id))))
    if (one === undefined || two === undefined) throw new Error('no answer')
    const next = (said: Said, id: string) => onChat([user('Hello'), said.reply, user('More')], sender(id))

    expect(one.reply).toEqual(two.reply)
    expect((await next(one, 'c-2')).session).toBe(one.session)
    expect((await next(two, 'c-3')).session).toBe(two.session)
    expect(one.session).not.toBe(two.session)
  })

  it('keeps a regenerated answer in its chat', async () => {
    const first = await onChat([user('Tell me of rivers')], sender('c-4'))
    const asked = [user('Tell me of rivers'), first.reply, user('Which is longest?')]
    const once = await onChat(asked, sender('c-4'))
    const again = await onChat(asked, sender('c-4'))

    expect([once.session, again.session]).toEqual([first.session, first.session])
  })

  it('never leads to another tenant with the same ids and text', async () => {
    const mine = await onChat([user('Same words')], sender('c-5', 'tenant-1'))
    const theirs = await onChat([user('Same words'), mine.reply, user('next')], sender('c-5', 'tenant-2'))
    const next = await onChat([user('Same words'), mine.reply, user('next')], sender('c-5', 'tenant-1'))

    expect(theirs.session).not.toBe(mine.session)
    expect(next.session).toBe(mine.session)
  })
})

describe('Claude Code', () => {
  const session = 'f3a1c2d4-0000-4000-8000-000000000001'
  const agent = (id?: string, key = 'claude') => ({
    headers: {
      'x-api-key': key,
      'x-claude-code-session-id': session,
      ...(id === undefined ? {} : { 'x-claude-code-agent-id': id, 'x-claude-code-parent-agent-id': 'main' }),
    },
    body: {
      // A line that changes per request and that vLLM removes.
      system: [
        { type: 'text', text: `x-anthropic-billing-header: cc_version=2; cch=${Math.random()};` },
        { type: 'text', text: 'You are Claude Code.', cache_control: { type: 'ephemeral' } },
      ],
      metadata: { user_id: `user_ab_account__session_${session}` },
    },
  })
  const words = (text: string, cached = false) => ({
    role: 'user',
    content: [{ type: 'text', text, ...(cached ? { cache_control: { type: 'ephemeral' } } : {}) }],
  })

  it('recognizes its main agent while cache marks move', async () => {
    const first = await onMessages([words('Mend the build', true)], agent())
    const second = await onMessages([words('Mend the build'), first.reply, words('Go on', true)], agent())

    expect(second.session).toBe(first.session)
  })

  it('separates sub-agents with equal prompts from each other and from the main agent', async () => {
    const asked = [words('Find all callers of parse')]
    const turns = await Promise.all([undefined, 'a-1', 'a-2'].map((id) => onMessages(asked, agent(id))))
    const [main, one, two] = turns
    if (main === undefined || one === undefined || two === undefined) throw new Error('no answer')
    const on = (said: Said, id?: string) => onMessages([...asked, said.reply, words('Go on')], agent(id))

    expect(distinct(turns)).toBe(3)
    expect((await on(main)).session).toBe(main.session)
    expect((await on(one, 'a-1')).session).toBe(one.session)
    expect((await on(two, 'a-2')).session).toBe(two.session)
  })

  it('excludes its quota probe and its title call from the conversation', async () => {
    const main = await onMessages([words('Rename the module')], agent())
    const quota = await onMessages([{ role: 'user', content: 'quota' }], {
      ...agent(),
      body: { max_tokens: 1, metadata: agent().body.metadata },
    })
    const title = await onMessages([words('Rename the module')], {
      ...agent(),
      body: { system: 'Write a title for this conversation.', metadata: agent().body.metadata },
    })
    const second = await onMessages([words('Rename the module'), main.reply, words('Go on')], agent())

    expect(distinct([main, quota, title])).toBe(3)
    expect(second.session).toBe(main.session)
  })

  it('never leads to another tenant with the same session id', async () => {
    const mine = await onMessages([words('Look')], agent(undefined, 'claude-1'))
    const theirs = await onMessages([words('Look'), mine.reply, words('On')], agent(undefined, 'claude-2'))

    expect(theirs.session).not.toBe(mine.session)
  })
})

describe('agents on OpenAI shapes', () => {
  it.each([
    ['Codex', { session_id: 's-1', conversation_id: 's-1' }],
    ['Codex, newer', { 'session-id': 's-1', 'thread-id': 't-1' }],
  ])('%s: a turn is recognized by its items, and its sub-agents are separate', async (name, headers) => {
    const sender = (thread: string) => ({
      headers: { ...headers, ...('thread-id' in headers ? { 'thread-id': thread } : { conversation_id: thread }) },
      body: { instructions: `You are ${name}.`, prompt_cache_key: 's-1', store: false },
    })
    const asked = [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Fix it' }] }]
    const [main, sub] = await Promise.all([onResponses(asked, sender('t-1')), onResponses(asked, sender('t-2'))])
    const next = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Go on' }] }
    const second = await onResponses([...asked, ...main.items, next], sender('t-1'))
    const subSecond = await onResponses([...asked, ...sub.items, next], sender('t-2'))

    expect(main.session).not.toBe(sub.session)
    expect([second.session, subSecond.session]).toEqual([main.session, sub.session])
  })

  it.each([
    ['OpenCode', (id: string) => ({ headers: { 'x-session-id': id, 'x-session-affinity': id } })],
    ["OpenCode's own service", (id: string) => ({ headers: { 'x-opencode-session': id } })],
    ['LiteLLM', (id: string) => ({ headers: { 'x-litellm-session-id': id } })],
    ['LiteLLM, in the body', (id: string) => ({ body: { litellm_session_id: id } })],
    ['user', (id: string) => ({ body: { user: id } })],
    ['safety_identifier', (id: string) => ({ body: { safety_identifier: id } })],
    ['metadata.session_id', (id: string) => ({ body: { metadata: { session_id: id } } })],
  ])('%s: two ids with equal text stay separate, and each continues', async (name, sender) => {
    const asked = [system(name), user('Begin')]
    const [one, two] = await Promise.all(['i-1', 'i-2'].map((id) => onChat(asked, sender(id))))
    if (one === undefined || two === undefined) throw new Error('no answer')
    const on = (said: Said, id: string) => onChat([...asked, said.reply, user('On')], sender(id))

    expect(one.session).not.toBe(two.session)
    expect((await on(one, 'i-1')).session).toBe(one.session)
    expect((await on(two, 'i-2')).session).toBe(two.session)
  })
})

describe('one prompt_cache_key for a whole app', () => {
  const sender = { body: { prompt_cache_key: 'app' } }

  it('separates conversations that differ, and continues each', async () => {
    const openings = ['apples', 'pears', 'plums'].map((fruit) => [system('One app.'), user(`Tell me of ${fruit}`)])
    const firsts = await Promise.all(openings.map((asked) => onChat(asked, sender)))
    const seconds = await Promise.all(
      firsts.map(({ reply }, at) => onChat([...(openings[at] ?? []), reply, user('More')], sender)),
    )

    expect(distinct(firsts)).toBe(3)
    expect(seconds.map(({ session }) => session)).toEqual(firsts.map(({ session }) => session))
  })

  it("leads neither of two conversations with equal text and replies to the other's session", async () => {
    const asked = [system('One app.'), user('Same opening')]
    const [one, two] = await Promise.all([onChat(asked, sender), onChat(asked, sender)])
    const next = await onChat([...asked, one.reply, user('More')], sender)

    expect(one.reply).toEqual(two.reply)
    expect(distinct([one, two, next])).toBe(3)
  })
})
