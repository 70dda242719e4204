// Windows without a chat: created once from messages or a document, and thawed by any number of sessions.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

beforeEach(async () => {
  stack = await startStack({ sim: { images: true, maxModelLen: 4096 } })
})
afterEach(() => stack.close())

const document = `${prose(600)}. The buoy is called Lomvi.`
const put = (name: string, body: object, headers: Record<string, string> = {}) =>
  call(stack.url, 'PUT', `/windows/${name}`, { model: 'sim-model', ...body }, headers)
const refusal = async (body: object) => {
  const got = await put('w', body)
  return [got.status, errorOf(got).code, errorOf(got).param]
}

describe('a document', () => {
  it('is loaded once and used by any number of sessions, none of which recomputes it', async () => {
    const made = await put('book', { document, tags: ['law'], note: 'clause by clause' })
    const window = jsonOf<WindowJson & { origin: string }>(made)

    expect(made.status).toBe(201)
    expect(window).toMatchObject({
      state: 'frozen',
      origin: 'content',
      messages: 1,
      tags: ['law'],
      note: 'clause by clause',
    })
    expect(window.receipt).toMatchObject({ durability: 'l2', pinned: true })
    await stack.sim.restartEngine()
    for (const session of ['ann', 'bob', 'eve']) {
      const headers = { 'x-cwm-session': session, 'x-cwm-window': 'book' }
      const turn = await chat(stack.url, [user('What is the buoy called?')], { headers })
      expect(turn.reply.content).toContain('Lomvi')
      expect(turn.cachedTokens).toBeGreaterThanOrEqual(512)
    }
  })

  it('may be in a user message', async () => {
    const made = jsonOf<WindowJson>(await put('book', { document, document_role: 'user' }))

    expect(made).toMatchObject({ state: 'frozen', messages: 1 })
  })

  it('conflicts under the same name only if it differs', async () => {
    await put('book', { document })

    const [again, other] = [await put('book', { document }), await put('book', { document: `${document}!` })]

    expect([again.status, other.status]).toEqual([200, 409])
    expect(errorOf(other).code).toBe('window_name_taken')
    expect(stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions')).toHaveLength(1)
  })

  it('over the limit is rejected with its size, and the name stays free', async () => {
    const got = await put('book', { document: prose(6_000) })

    expect([got.status, errorOf(got).code]).toEqual([422, 'window_failed'])
    expect(errorOf(got).message).toMatch(/\d+ tokens|maximum context length/)
    expect((await put('book', { document })).status).toBe(201)
  })

  // Two megabytes kept a real engine's tokenizer busy for six seconds, twenty for more than a minute.
  it('that cannot possibly fit is rejected before the engine sees any of it', async () => {
    const asked = () => stack.sim.requests.all('engine').filter(({ path }) => path === '/tokenize').length

    expect(await refusal({ document: 'a'.repeat(8_192 * 64 + 1) })).toEqual([400, 'invalid_field', 'messages'])
    expect(asked()).toBe(0)
    expect((await put('w', { document })).status).toBe(201)
  })

  it('for an unknown model is rejected, and leaves no window', async () => {
    expect(await refusal({ model: 'nope', document })).toEqual([400, 'invalid_field', 'model'])
    expect((await call(stack.url, 'GET', '/windows/w')).status).toBe(404)
  })

  it('fails with an upstream error while the engine is down, and leaves no window', async () => {
    await stack.sim.setOnline('engine', false)
    // The list of models is cached for a minute.
    await stack.restart()

    expect((await refusal({ document }))[0]).toBe(502)
    expect((await call(stack.url, 'GET', '/windows/w')).status).toBe(404)
  })
})

describe('messages', () => {
  it.each([
    [
      'chat',
      { messages: [{ role: 'system', content: document }, user('first'), { role: 'assistant', content: 'yes' }] },
    ],
    ['messages', { system: document, messages: [user('first'), { role: 'assistant', content: 'yes' }] }],
    ['responses', { instructions: document, input: [user('first'), { role: 'assistant', content: 'yes' }] }],
  ] as const)('of %s become a window of that dialect', async (dialect, body) => {
    const got = await put('w', { dialect, ...body })

    const window = jsonOf<WindowJson>(got)
    expect(got.status).toBe(201)
    expect(window).toMatchObject({ state: 'frozen', dialect, messages: dialect === 'chat' ? 3 : 2 })
  })

  it('are continued in their dialect', async () => {
    await put('w', {
      dialect: 'messages',
      system: document,
      messages: [user('first'), { role: 'assistant', content: 'yes' }],
    })

    const got = await ask(stack.url, '/v1/messages', {
      body: { model: 'sim-model', max_tokens: 40, messages: [user('What is the buoy called?')] },
      headers: { 'x-cwm-window': 'w' },
    })

    expect(got.text).toContain('Lomvi')
    expect(Number(got.headers['x-cwm-restored'])).toBeGreaterThanOrEqual(512)
  })

  it('are rejected if a chat would reject them, and so are fields that do not shape the prompt', async () => {
    expect(await refusal({ messages: [user('a')], temperature: 1 })).toEqual([400, 'invalid_field', 'temperature'])
    expect(await refusal({ messages: [user('a')], max_tokens: 1 })).toEqual([400, 'invalid_field', 'max_tokens'])
    expect(await refusal({ messages: [user('a')], kv_transfer_params: {} })).toEqual([
      400,
      'invalid_field',
      'kv_transfer_params',
    ])
    expect(await refusal({ messages: [user('a')], document })).toEqual([400, 'invalid_field', 'document'])
    expect(await refusal({ messages: [] })).toEqual([400, 'invalid_field', 'messages'])
    expect(await refusal({ messages: 'a' })).toEqual([400, 'invalid_field', 'messages'])
    expect(await refusal({})).toEqual([400, 'invalid_field', 'messages'])
    expect(await refusal({ model: '', document })).toEqual([400, 'invalid_field', 'model'])
    expect(await refusal({ dialect: 'completions', document })).toEqual([400, 'invalid_field', 'dialect'])
    const picture = { type: 'image_url', image_url: { url: 'data:' }, uuid: 'x' }
    expect(await refusal({ messages: [{ role: 'user', content: [picture] }] })).toEqual([
      400,
      'forbidden_field',
      'messages',
    ])
    expect((await put('auto.w', { document })).status).toBe(400)
    expect((await put('w', { document: 'x' }, { 'content-type': 'text/plain' })).status).toBe(415)
  })
})

describe('images', () => {
  const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }

  it('are restorable up to the first one, whose message is computed with the next turn', async () => {
    const text = await rest<WindowJson>(stack.url, 'PUT', '/windows/text', {
      model: 'sim-model',
      messages: [{ role: 'system', content: document }],
    })
    const window = await rest<WindowJson>(stack.url, 'PUT', '/windows/w', {
      model: 'sim-model',
      messages: [
        { role: 'system', content: document },
        { role: 'user', content: [{ type: 'text', text: 'what is this?' }, picture] },
        { role: 'assistant', content: 'A buoy.' },
      ],
    })

    const beforePicture = text.receipt?.tokens ?? 0
    expect(window.receipt?.tokens).toBeGreaterThanOrEqual(beforePicture)
    expect(window.receipt?.tokens).toBeLessThan(beforePicture + 12)
    expect(window.receipt?.notes).toContain(
      'message 2 contains an image or other media: the ids end before it, and the rest is recomputed',
    )
    const turn = await chat(stack.url, [user('What is the buoy called?')], { headers: { 'x-cwm-window': 'w' } })
    expect(turn.promptTokens).toBeGreaterThan(beforePicture + 64)
    expect(turn.got.headers['x-cwm-restored']).toBeDefined()
  })

  it('in the first message leave only the text', async () => {
    const window = await rest<WindowJson>(stack.url, 'PUT', '/windows/w', {
      model: 'sim-model',
      messages: [{ role: 'user', content: [picture, { type: 'text', text: prose(600) }] }],
    })

    expect(window.receipt).toMatchObject({ durability: 'text', pinned: false })
    expect(window.receipt?.tokens).toBeLessThan(8)
  })

  it('in a chat are frozen in the same way', async () => {
    const messages = [user(document), { role: 'assistant', content: 'yes' }, { role: 'user', content: [picture] }]
    await chat(stack.url, messages, { headers: { 'x-cwm-session': 'ann' } })

    const window = await rest<WindowJson>(stack.url, 'POST', '/windows', { name: 'w', session_id: 'ann' })

    expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'l2' } })
    expect(window.receipt?.notes?.join()).toContain('message 3 contains an image')
  })
})

describe('several adapters', () => {
  it('share no KV of the same document', async () => {
    await stack.close()
    stack = await startStack({
      sim: {
        adapters: [
          { name: 'law', path: './law' },
          { name: 'sea', path: './sea' },
        ],
      },
    })

    const receipts = []
    for (const model of ['sim-model', 'law', 'sea']) {
      receipts.push((await rest<WindowJson>(stack.url, 'PUT', `/windows/${model}`, { model, document })).receipt)
    }
    const thaw = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/law/thaw', {})

    expect(receipts.map((receipt) => receipt?.cached_tokens)).toEqual([0, 0, 0])
    expect(thaw.restored_tokens).toBeGreaterThanOrEqual(512)
    const got = await ask(stack.url, '/v1/chat/completions', {
      body: { model: 'sea', messages: [user('?')] },
      headers: { 'x-cwm-window': 'law' },
    })
    expect([got.status, errorOf(got).code]).toEqual([409, 'window_mismatch'])
  })
})
