// Rollovers in unusual situations: restarts, notes, first exchanges, images, other dialects, a full store.

import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import type { SimOptions } from '../../src/sim/index.ts'
import { ask, errorOf } from '../support/client.ts'
import { assistant, type ChatMessage, chat, prose, system, user } from '../support/conversation.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const LIMIT = 2048
const model = 'sim-model'
const CHAT = '/v1/chat/completions'

let stack: Stack
const start = async (settings: Partial<Settings> = {}, sim: SimOptions = {}) => {
  stack = await startStack({
    sim: { maxModelLen: LIMIT, ...sim },
    settings: { overflow: 'rollover', freeze_at: 0, ...settings },
  })
}
afterEach(() => stack.close())

/** A chat of this many whole exchanges, about 130 tokens each. */
function exchanges(count: number): ChatMessage[] {
  return Array.from({ length: count }, (_, i) => [
    user(`Question ${i}: ${prose(40, `mill${i}`)}`),
    assistant(`Answer ${i}: ${prose(20, `boat${i}`)}`),
  ]).flat()
}

const named = { 'x-cwm-session': 'ann' }

interface Sent {
  readonly messages: readonly ChatMessage[]
  readonly input: readonly unknown[]
  readonly instructions: string
  readonly system: unknown
}

function lastSent(path = CHAT): Sent {
  const request = stack.sim.requests.all('engine').findLast((one) => one.path === path)
  return JSON.parse(request?.body.toString('utf8') ?? '{}') as Sent
}

const windowOf = (got: { headers: Record<string, unknown> }) => String(got.headers['x-cwm-rollover'])
const contentOf = (name: string) => rest<{ messages: ChatMessage[] }>(stack.url, 'GET', `/windows/${name}/export`)

describe('a history that another server answered', () => {
  it('is stored as text, and cut', async () => {
    await start()
    const history = exchanges(20)

    const { got } = await chat(stack.url, [...history, user('And now?')], { headers: named })

    const window = await settled(stack.url, windowOf(got))
    expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'text' } })
    expect((await contentOf(window.name)).messages).toEqual(history)
    expect(lastSent().messages.length).toBeLessThan(20)
  })

  it('is cut in the same place after a restart, into the same window', async () => {
    await start()
    const history = exchanges(20)
    const before = await chat(stack.url, [...history, user('And now?')], { headers: named })
    const sent = lastSent().messages
    await settled(stack.url, windowOf(before.got))

    await stack.restart()
    const after = await chat(stack.url, [...history, user('And now?')], { headers: named })

    expect(lastSent().messages).toEqual(sent)
    expect(windowOf(after.got)).toBe(windowOf(before.got))
    const { data } = await rest<{ data: unknown[] }>(stack.url, 'GET', '/windows')
    expect(data).toHaveLength(1)
  })
})

describe('a rollover', () => {
  it('keeps the first exchanges, if configured', async () => {
    await start({ keep_first: 1 })
    const history = exchanges(20)

    await chat(stack.url, [system('Be brief.'), ...history, user('And now?')], { headers: named })

    expect(lastSent().messages.slice(0, 3)).toEqual([system('Be brief.'), ...history.slice(0, 2)])
    expect(lastSent().messages.at(-1)).toEqual(user('And now?'))
  })

  it('tells the model about the window by its tag', async () => {
    await start({ rollover_note: true })

    const { got } = await chat(stack.url, [system('Be brief.'), ...exchanges(20), user('And now?')], { headers: named })

    const tag = /cut-[0-9a-f]{12}/.exec(lastSent().messages[0]?.content ?? '')?.[0] ?? ''
    expect(lastSent().messages[0]?.content).toMatch(/^Be brief\.\n\n/)
    const { data } = await rest<{ data: { name: string }[] }>(stack.url, 'GET', `/windows?tag=${tag}`)
    expect(data.map(({ name }) => name)).toEqual([windowOf(got)])
  })

  it('adds its note in front if there is no system prompt, and stays warm with it', async () => {
    await start({ rollover_note: true })
    const history = [...exchanges(20), user('And now?')]
    const first = await chat(stack.url, history, { headers: named })

    const next = await chat(stack.url, [...history, first.reply, user('And then?')], { headers: named })

    expect(lastSent().messages[0]).toMatchObject({ role: 'system' })
    expect(next.cachedTokens).toBeGreaterThan(0.8 * first.promptTokens)
  })

  it('counts images with the tokenizer', async () => {
    await start({}, { images: true })
    const picture = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }

    const { got } = await chat(stack.url, [...exchanges(12), picture], { headers: named })

    expect(got.headers['x-cwm-rollover']).toBeDefined()
    // Text alone needs the tokenizer too.
    const counted = stack.sim.requests.all('engine').filter(({ path }) => path === '/tokenize')
    expect(counted.some(({ body }) => body.includes('image_url'))).toBe(true)
  })
})

describe('other dialects', () => {
  it('responses are cut, with the note in the instructions', async () => {
    await start({ rollover_note: true })
    const input = [...exchanges(20), user('And now?')]

    const got = await ask(stack.url, '/v1/responses', {
      body: { model, input, instructions: 'Be brief.' },
      headers: named,
    })

    expect(got.status).toBe(200)
    expect(got.headers['x-cwm-rollover']).toBeDefined()
    expect(lastSent('/v1/responses').input.length).toBeLessThan(20)
    expect(lastSent('/v1/responses').instructions).toMatch(/^Be brief\.\n\n.*cut-[0-9a-f]{12}/)
  })

  it('Anthropic’s messages are cut, streamed, with the note in the system prompt', async () => {
    await start({ rollover_note: true })
    const messages = [...exchanges(20), user('And now?')]

    const got = await ask(stack.url, '/v1/messages', {
      body: { model, max_tokens: 50, messages, system: 'Be brief.', stream: true },
      headers: named,
    })

    expect(got.text).toContain('message_stop')
    expect(got.headers['x-cwm-rollover']).toBeDefined()
    expect(lastSent('/v1/messages').system).toMatch(/^Be brief\.\n\n.*cut-[0-9a-f]{12}/)
  })

  it('completions cannot be cut, and are rejected', async () => {
    await start()

    const got = await ask(stack.url, '/v1/completions', { body: { model, prompt: prose(1100), max_tokens: 9 } })

    expect(errorOf(got).code).toBe('context_length_exceeded')
  })
})

describe('a turn that cannot be cut', () => {
  it('because of a tool result that is too large is rejected', async () => {
    await start()
    const messages = [
      user('Read it.'),
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'read', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: prose(1100) },
    ]

    const got = await ask(stack.url, CHAT, { body: { model, messages } })

    expect(got.status).toBe(400)
    expect(errorOf(got)).toMatchObject({ code: 'context_length_exceeded', param: 'messages' })
    expect(stack.sim.requests.all('engine').some(({ path }) => path === CHAT)).toBe(false)
  })

  it('but fits with its requested answer is forwarded whole', async () => {
    await start()

    const { got } = await chat(stack.url, [user(prose(980))], { body: { max_tokens: 20 } })

    expect(got.headers['x-cwm-rollover']).toBeUndefined()
    expect(Number(got.headers['x-cwm-context']?.toString().split('/')[0])).toBeGreaterThan(LIMIT - 256)
  })

  it('because its window could not be stored is rejected, and the engine receives nothing', async () => {
    await start({ max_windows: 0 })

    const got = await ask(stack.url, CHAT, { body: { model, messages: [...exchanges(20), user('And now?')] } })

    expect(errorOf(got).code).toBe('quota_exceeded')
    expect(stack.sim.requests.all('engine').some(({ path }) => path === CHAT)).toBe(false)
  })
})

describe('after a cut', () => {
  it('its window is not added before a history that already contains its messages', async () => {
    await start()
    const history = exchanges(20)
    const first = await chat(stack.url, [...history, user('And now?')], { headers: named })
    const all = [...history, user('And now?'), first.reply, user('Again?')]
    await settled(stack.url, windowOf(first.got))

    const got = await ask(stack.url, CHAT, {
      body: { model, messages: all.slice(2) },
      headers: { ...named, 'x-cwm-window': windowOf(first.got), 'x-cwm-overflow': 'pass' },
    })

    expect(got.status).toBe(409)
    expect(errorOf(got).code).toBe('window_diverges')
  })
})

describe('undo by REST in the same session, after a second cut', () => {
  const history: ChatMessage[] = []
  let window = ''
  const undone = async () => {
    await start()
    history.length = 0
    const windows = new Set<string>()
    for (let i = 0; windows.size < 2; i++) {
      history.push(user(`Turn ${i}: ${prose(60, `mill${i}`)}`))
      const { got, reply } = await chat(stack.url, history, { headers: named })
      history.push(reply)
      if (got.headers['x-cwm-rollover'] !== undefined) windows.add(windowOf(got))
    }
    window = [...windows].at(-1) ?? ''
    await settled(stack.url, window)
    await rest(stack.url, 'POST', `/windows/${window}/thaw`, { session_id: 'ann', replace: true })
  }

  it.each([
    ['everything', 0],
    ['the newest half of it', 20],
  ])("rejects %s, because the window's messages would be in the prompt twice", async (_, from) => {
    await undone()
    const sent = stack.sim.requests.all('engine').length

    const got = await ask(stack.url, CHAT, {
      body: { model, messages: [...history.slice(from), user('And now?')] },
      headers: { ...named, 'x-cwm-overflow': 'pass' },
    })

    expect(errorOf(got).code).toBe('window_diverges')
    expect(stack.sim.requests.all('engine')).toHaveLength(sent)
  })

  it('accepts the new messages, and then its history after the window, although it repeats parts of the window', async () => {
    await undone()
    const { messages } = await contentOf(window)
    const again = { headers: { ...named, 'x-cwm-overflow': 'pass' } }
    const first = await chat(stack.url, messages.slice(0, 1), again)
    const second = await chat(stack.url, [...messages.slice(0, 1), first.reply, user('So?')], again)

    expect(second.promptTokens).toBeGreaterThan(first.promptTokens)
    expect(second.cachedTokens).toBeGreaterThan(0.8 * first.promptTokens)
  })
})

describe('a cut in the status of its session', () => {
  it('is removed once a whole history is sent, but not by a side request under the same name', async () => {
    await start({ limits: { [model]: 2048 } }, { maxModelLen: 8192 })
    const rollover = async () =>
      (await rest<{ rollover?: { window: string } }>(stack.url, 'GET', '/sessions/ann')).rollover?.window
    const history = exchanges(20)
    const { got, reply } = await chat(stack.url, [...history, user('And now?')], { headers: named })

    await chat(stack.url, [user('A title for this chat?')], { headers: named })
    const afterAside = await rollover()
    const all = [...history, user('And now?'), reply, user('And then?')]
    await chat(stack.url, all, { headers: { ...named, 'x-cwm-overflow': 'pass' } })

    expect(afterAside).toBe(windowOf(got))
    expect(await rollover()).toBeUndefined()
  })
})

describe('a cut whose window was deleted', () => {
  it('is stored again, whole, before the next turn is sent', async () => {
    await start()
    const history = exchanges(20)
    const first = await chat(stack.url, [...history, user('And now?')], { headers: named })
    await settled(stack.url, windowOf(first.got))
    const second = await chat(stack.url, [...history, user('And now?'), first.reply, user('So?')], { headers: named })
    await rest(stack.url, 'DELETE', `/windows/${windowOf(second.got)}`)

    const all = [...history, user('And now?'), first.reply, user('So?'), second.reply, user('And then?')]
    const third = await chat(stack.url, all, { headers: named })

    expect(windowOf(third.got)).not.toBe(windowOf(second.got))
    await settled(stack.url, windowOf(third.got))
    const kept = (await contentOf(windowOf(third.got))).messages.map(({ content }) => content)
    const sent = lastSent().messages.map(({ content }) => content)
    expect(sent.length).toBeLessThan(all.length)
    expect(all.filter(({ content }) => !kept.includes(content) && !sent.includes(content))).toEqual([])
  })
})

describe('concurrent turns', () => {
  it('create one window per cut', async () => {
    await start()
    const messages = [...exchanges(20), user('And now?')]

    const turns = await Promise.all(Array.from({ length: 5 }, () => chat(stack.url, messages, { headers: named })))

    expect(new Set(turns.map(({ got }) => windowOf(got))).size).toBe(1)
    const { data } = await rest<{ data: unknown[] }>(stack.url, 'GET', '/windows')
    expect(data).toHaveLength(1)
  })
})
