// Reports why a turn that should have been cached was cold: in the session's status, the metrics and the events, without any content.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SessionJson } from '../../src/wire/sessions.ts'
import { ask } from '../support/client.ts'
import { type ChatMessage, type ChatTurn, chat, prose, system, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { listen } from '../support/event-stream.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

beforeEach(async () => {
  stack = await startStack()
})
afterEach(() => stack.close())

const RULES = prose(500, 'rules')
const say = (messages: readonly unknown[], session = 'ann', body: object = {}): Promise<ChatTurn> =>
  chat(stack.url, messages, { headers: { 'x-cwm-session': session }, body })
const broken = async (session = 'ann') =>
  (await rest<SessionJson>(stack.url, 'GET', `/sessions/${session}`)).prefix_break
const toldOf = (session = 'ann') => until('a break is told', () => broken(session))
/** Breaks so far, by cause. */
async function counted(): Promise<Record<string, number>> {
  const { text } = await ask(stack.url, '/cwm/metrics')
  const lines = text.matchAll(/^cwm_prefix_breaks_total\{cause="(\w+)"\} (\d+)$/gm)
  return Object.fromEntries([...lines].map(([, cause, count]) => [cause, Number(count)]))
}
/** Clears the caches of engine and LMCache. */
async function emptyCaches(): Promise<void> {
  await stack.sim.restartEngine()
  await stack.sim.restartLmcache()
  for (const adapter of stack.sim.settings.l2Adapters) stack.sim.loseL2(adapter)
}

/** Sends two turns of a chat. Returns the start of the third. */
async function twoTurns(opening: readonly ChatMessage[], body: object = {}): Promise<readonly ChatMessage[]> {
  const first = await say(opening, 'ann', body)
  const second = [...opening, first.reply, user(prose(300, 'second'))]
  return [...second, (await say(second, 'ann', body)).reply]
}

describe('a cold turn of a named session is explained', () => {
  it('by a clock in the system prompt: message 0, its content, and the position of the clock', async () => {
    const at = (clock: string) => system(`Today is ${clock}. ${RULES}`)
    const history = await twoTurns([at('Monday'), user('hello')])
    expect(await broken()).toBeUndefined()

    const third = await say([at('Tuesday'), ...history.slice(1), user('and now?')])

    const told = await toldOf()
    expect(told).toMatchObject({ cause: 'message', message: 0, field: 'content', offset: 9 })
    expect(told.cached_tokens).toBe(third.cachedTokens)
    expect(told.expected_tokens).toBeGreaterThan(1_000)
    expect(await counted()).toEqual({ message: 1 })
    expect(JSON.stringify(told)).not.toMatch(/Monday|Tuesday/)
  })

  it('until the next warm turn', async () => {
    const history = await twoTurns([system(RULES), user('hello')])
    const third = [system(`!${RULES}`), ...history.slice(1), user('and now?')]
    const { reply } = await say(third)
    await toldOf()

    await say([...third, reply, user('again')])

    expect(await broken()).toBeUndefined()
  })

  it('by reordered tools: the first that moved', async () => {
    const tool = (name: string) => ({ type: 'function', function: { name, description: prose(200, name) } })
    const tools = (...names: string[]) => ({ tools: names.map(tool) })
    const history = await twoTurns([system(RULES), user('hello')], tools('find', 'read', 'write'))

    await say([...history, user('and now?')], 'ann', tools('find', 'write', 'read'))

    expect(await toldOf()).toMatchObject({ cause: 'tools', field: 'tools[1].function.name', offset: 0 })
    expect(await counted()).toEqual({ tools: 1 })
  })

  it('by a reply that the client rewrote', async () => {
    const [opening, hello, reply, ...more] = await twoTurns([system('Be kind.'), user('hello')])

    await say([opening, hello, { ...reply, content: `${reply?.content} (edited)` }, ...more, user(prose(300, 'third'))])

    expect(await toldOf()).toMatchObject({
      cause: 'message',
      message: 2,
      field: 'content',
      offset: Buffer.byteLength(reply?.content ?? ''),
    })
  })

  it('by tool arguments that an SDK wrote in another order', async () => {
    const tools = { tools: [{ type: 'function', function: { name: 'find' } }] }
    const opening = user(prose(100))
    stack.sim.script({ toolCalls: [{ name: 'find', arguments: '{"what": "mill", "where": "harbour"}' }] })
    const first = await ask(stack.url, '/v1/chat/completions', {
      headers: { 'x-cwm-session': 'ann' },
      body: { model: 'sim-model', messages: [opening], ...tools },
    })
    const message = (JSON.parse(first.text) as { choices: [{ message: { tool_calls: [{ id: string }] } }] }).choices[0]
      .message
    const [{ id }] = message.tool_calls
    const result = { role: 'tool', tool_call_id: id, content: prose(500, 'found') }
    const { reply } = await say([opening, message, result], 'ann', tools)
    const rewritten = {
      role: 'assistant',
      tool_calls: [
        { id, type: 'function', function: { name: 'find', arguments: '{"where":"harbour","what":"mill"}' } },
      ],
    }

    await say([opening, rewritten, result, reply, user('and?')], 'ann', tools)

    expect(await toldOf()).toMatchObject({
      cause: 'message',
      message: 1,
      field: 'tool_calls[0].function.arguments',
      offset: 4,
    })
  })

  it('by reasoning that the template drops from the reply', async () => {
    const content = prose(500, 'answer')
    stack.sim.script({ reasoning: prose(400, 'thought'), content })
    const opening = user(prose(100))
    await say([opening], 'ann', { max_tokens: 4_000 })

    await say([opening, { role: 'assistant', content }, user('and?')])

    expect(await toldOf()).toMatchObject({ cause: 'reply' })
    expect(await counted()).toEqual({ reply: 1 })
  })

  it('by lost KV', async () => {
    const history = await twoTurns([system(RULES), user('hello')])
    await emptyCaches()

    await say([...history, user('and now?')])

    expect(await toldOf()).toMatchObject({ cause: 'evicted', cached_tokens: 0 })
    expect(await counted()).toEqual({ evicted: 1 })
  })

  it('in an event, with positions and numbers', async () => {
    const ear = await listen(stack.url)
    const history = await twoTurns([system(RULES), user('hello')])
    await say([system(`!${RULES}`), ...history.slice(1), user('and now?')])
    const { cached_tokens, expected_tokens } = await toldOf()

    const [heard] = await ear.events(1)
    ear.leave()

    expect(heard).toMatchObject({
      event: 'prefix_broken',
      data: { session_id: 'ann', cause: 'message', message: 0, field: 'content', cached_tokens, expected_tokens },
    })
  })
})

describe('with the last turn kept', () => {
  it.each(['disk', 'off'] as const)('%s', async (retain) => {
    await stack.close()
    stack = await startStack({ settings: { retain } })
    const history = await twoTurns([system(RULES), user('hello')])

    await say([system(`!${RULES}`), ...history.slice(1), user('and now?')])

    const cause = retain === 'disk' ? { cause: 'message', message: 0 } : { cause: 'unknown' }
    expect(await toldOf()).toMatchObject(cause)
  })
})

describe('nothing is reported', () => {
  /** Breaks are reported in the order of their turns: once this one is, all before it have been checked. */
  async function onlyTheLastIsTold(): Promise<void> {
    const history = await twoTurns([system(RULES), user('hello')])
    await say([system(`!${RULES}`), ...history.slice(1), user('and now?')])
    await toldOf()
    expect(await counted()).toEqual({ message: 1 })
  }

  it('for a warm chat of 20 turns', async () => {
    const messages: ChatMessage[] = [system(RULES), user('hello')]
    for (let turn = 0; turn < 20; turn++) {
      const { reply } = await say(messages, 'bob')
      messages.push(reply, user(prose(50, `turn${turn}`)))
    }

    await onlyTheLastIsTold()
  })

  it('when LMCache restores what the engine lost', async () => {
    const opening = [system(RULES), user('hello')]
    const { reply } = await say(opening, 'bob')
    await stack.sim.restartEngine()
    await say([...opening, reply, user('and?')], 'bob')

    await onlyTheLastIsTold()
  })

  it('when the client regenerates, goes back, or rewrites its last message', async () => {
    const opening = [system(RULES), user(prose(400, 'first'))]
    const { reply } = await say(opening, 'bob')
    await say([...opening, reply, user(prose(400, 'second'))], 'bob')
    await say([...opening, reply, user(prose(400, 'other'))], 'bob')
    await say(opening, 'bob')
    await say([opening[0], user(prose(400, 'again'))], 'bob')

    await onlyTheLastIsTold()
  })

  it('for titles and other side requests under the same name', async () => {
    const opening = [system(RULES), user('hello')]
    const { reply } = await say(opening, 'bob')
    await say([user(`Write a title for this: ${RULES} ${reply.content}`)], 'bob')
    await say([...opening, reply, user('and?')], 'bob')

    await onlyTheLastIsTold()
  })

  it('for the first turn after a thaw', async () => {
    const opening = [user(`${RULES} ${RULES}`)]
    await say(opening, 'bob')
    await rest(stack.url, 'POST', '/windows', { name: 'w', session_id: 'bob' })
    await emptyCaches()
    await chat(stack.url, [user('what was it?')], { headers: { 'x-cwm-session': 'bob', 'x-cwm-window': 'w' } })
    await call(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
    await say([user('and then?')], 'bob')

    await onlyTheLastIsTold()
  })
})

describe('an unnamed history of a chat with its own conversation id', () => {
  const headers = { 'x-openwebui-chat-id': 'chat-7' }
  const plain = (messages: readonly unknown[]) => chat(stack.url, messages, { headers })

  it('reports where it left the newest session of that chat', async () => {
    const opening = [user(prose(600)), user('hello')]
    const { reply } = await plain(opening)
    await plain([user('Write a title')])

    const edited = await plain([opening[0], user('hallo'), reply, user('and?')])

    expect(await toldOf(edited.session)).toMatchObject({
      cause: 'message',
      message: 1,
      field: 'content',
      offset: 1,
      cached_tokens: 0,
    })
  })

  it('starts a session if it differs in its first message, or without such an id', async () => {
    const opening = [user(prose(600)), user('hello')]
    const { reply } = await plain(opening)
    await plain([user(prose(601)), opening[1], reply, user('and?')])
    await chat(stack.url, opening)
    await chat(stack.url, [opening[0], user('hallo'), reply, user('and?')])

    const edited = await plain([opening[0], user('hallo'), reply, user('and?')])

    await toldOf(edited.session)
    expect(await counted()).toEqual({ message: 1 })
  })
})
