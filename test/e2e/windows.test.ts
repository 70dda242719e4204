// Freeze and thaw with the simulator: what receipts report, what survives which restart, how a window is continued.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { type Ask, ask, errorOf, jsonOf } from '../support/client.ts'
import { askChat, assistant, type ChatMessage, chat, prose, saltsIn, system, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld, settled, thawByRest, thawOf } from '../support/windows.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack({ settings: { verify_deadline_ms: 2_000 } })
})

afterEach(() => {
  stack.sim.clearFaults()
  stack.sim.requests.clear()
})

afterAll(() => stack.close())

const CHAT = '/v1/chat/completions'
let count = 0

interface Frozen {
  readonly name: string
  readonly history: readonly ChatMessage[]
  readonly window: WindowJson
  readonly session: string
}

/** A session with one long turn, frozen with that turn. */
async function freeze(
  on: Stack = stack,
  options: { readonly body?: object; readonly words?: number } = {},
): Promise<Frozen> {
  const name = `w${++count}`
  const history = [
    system('You keep a harbour log.'),
    user(
      `Entry ${count}. The pilot boat is called Sisal ${count}. ${prose(options.words ?? 700)} What is the pilot boat called?`,
    ),
  ]
  const turn = await chat(on.url, history, { headers: { 'x-cwm-freeze': name }, body: options.body ?? {} })
  const window = await settled(on.url, name)
  return { name, history: [...history, turn.reply], window, session: turn.session }
}

const inWindow = (name: string, session?: string) => ({
  'x-cwm-window': name,
  ...(session === undefined ? {} : { 'x-cwm-session': session }),
})

/** Bodies of the chats that reached the engine. */
const sentChats = () =>
  stack.sim.requests
    .all('engine')
    .filter((entry) => entry.path === CHAT)
    .map((entry) => JSON.parse(entry.body.toString()) as { messages: ChatMessage[]; cache_salt: string })

const wholeChunks = (tokens: number): number => Math.floor(tokens / 256) * 256

async function emptyEngine(on: Stack = stack): Promise<void> {
  await on.sim.restartEngine()
  await on.sim.restartLmcache()
}

describe('a freeze', () => {
  it('by header verifies its chunks in L2, pins them, and reports that', async () => {
    const { window, session } = await freeze()

    expect(window).toMatchObject({ state: 'frozen', session_id: session, dialect: 'chat', messages: 3 })
    const receipt = window.receipt
    expect(receipt).toMatchObject({ durability: 'l2', pinned: true, warnings: [] })
    expect(receipt?.tokens).toBeGreaterThan(768)
    expect(receipt?.restorable_tokens).toBe(wholeChunks(receipt?.tokens ?? 0))
  })

  it('by header of a stream does the same', async () => {
    const name = `w${++count}`
    const got = await askChat(stack.url, [user(`${prose(600)} End.`)], {
      body: { stream: true },
      headers: { 'x-cwm-freeze': name },
    })

    expect(got.headers['x-cwm-freeze']).toBe('pending')
    expect(await settled(stack.url, name)).toMatchObject({
      state: 'frozen',
      messages: 2,
      receipt: { durability: 'l2' },
    })
  })

  it('by REST answers 201 when done, or 202 at once', async () => {
    const turn = await chat(stack.url, [user(`${prose(600)} One.`)])

    const done = await ask(stack.url, '/cwm/v1/windows', { body: { name: 'rest-1', session_id: turn.session } })
    const later = await ask(stack.url, '/cwm/v1/windows', {
      body: { name: 'rest-2', session_id: turn.session, wait: false },
    })

    expect([done.status, jsonOf(done).state]).toEqual([201, 'frozen'])
    expect(later.status).toBe(202)
    expect(['pending', 'freezing', 'frozen']).toContain(jsonOf(later).state)
    expect((await settled(stack.url, 'rest-2')).state).toBe('frozen')
  })

  it('shows as pending while its turn is answered, and wait_ms waits for it', async () => {
    stack.sim.fault({ path: CHAT, action: { kind: 'delay', ms: 150 } })
    const turn = chat(stack.url, [user('Slowly.')], { headers: { 'x-cwm-freeze': 'slow' } })
    const first = await until('the window shows', async () => {
      const got = await ask(stack.url, '/cwm/v1/windows/slow')
      return got.status === 200 ? jsonOf<WindowJson>(got) : undefined
    })

    const last = jsonOf<WindowJson>(await ask(stack.url, '/cwm/v1/windows/slow?wait_ms=5000'))

    expect([first, last.state]).toEqual([{ name: 'slow', state: 'pending' }, 'frozen'])
    await turn
  })

  it('below one chunk is text, and reports that', async () => {
    const { window } = await freeze(stack, { words: 20 })

    expect(window.receipt).toMatchObject({ durability: 'text', pinned: false, restorable_tokens: 0 })
    expect(window.receipt?.notes?.join()).toContain('under one chunk')
  })

  it('with tool calls pending keeps them', async () => {
    const tools = [{ type: 'function', function: { name: 'ask_tide', parameters: { type: 'object' } } }]
    stack.sim.script({ toolCalls: [{ name: 'ask_tide', arguments: { at: 'noon' } }] })
    const { name, window } = await freeze(stack, { body: { tools } })
    const calls = sentChats()

    const next = await askChat(stack.url, [{ role: 'tool', tool_call_id: 'x', content: 'High.' }], {
      headers: inWindow(name),
    })

    expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'l2' } })
    expect(calls).toHaveLength(1)
    expect(next.status).toBe(200)
    const sent = sentChats().at(-1) as unknown as {
      messages: { role: string; tool_calls?: unknown[] }[]
      tools: unknown
    }
    expect(sent.messages.map((message) => message.role)).toEqual(['system', 'user', 'assistant', 'tool'])
    expect(sent.messages[2]?.tool_calls).toHaveLength(1)
    expect(sent.tools).toEqual(tools)
  })

  it('that fails releases its name, reports why, and leaves no pin', async () => {
    const before = await pinsHeld(stack.sim)
    stack.sim.fault({
      path: '/v1/completions',
      action: { kind: 'status', status: 500, body: { error: { message: 'out of memory' } } },
    })
    const { name, window } = await freeze()
    const after = await pinsHeld(stack.sim)

    const turn = await chat(stack.url, [user(`${prose(600)} Again.`)], { headers: { 'x-cwm-freeze': name } })

    expect(window.state).toBe('failed')
    expect(window.reason).toBeTruthy()
    expect(after).toBe(before)
    expect(turn.got.status).toBe(200)
    expect((await settled(stack.url, name)).state).toBe('frozen')
  })

  it('of two concurrent turns of one session creates two windows', async () => {
    const headers = { 'x-cwm-session': 'parallel' }
    await Promise.all(
      ['par-1', 'par-2'].map((name) =>
        chat(stack.url, [user(`${prose(400)} ${name}`)], { headers: { ...headers, 'x-cwm-freeze': name } }),
      ),
    )

    expect([(await settled(stack.url, 'par-1')).state, (await settled(stack.url, 'par-2')).state]).toEqual([
      'frozen',
      'frozen',
    ])
  })

  it('of one name by two concurrent turns: one succeeds, the other is 409', async () => {
    stack.sim.fault({ path: CHAT, times: 2, action: { kind: 'delay', ms: 50 } })
    const turns = await Promise.all(
      [1, 2].map((i) => askChat(stack.url, [user(`race ${i}`)], { headers: { 'x-cwm-freeze': 'race' } })),
    )

    expect(turns.map((turn) => turn.status).sort()).toEqual([200, 409])
  })

  it('of more chunks pins each once: windows of one lineage are counted separately', async () => {
    const before = await pinsHeld(stack.sim)
    const { window, session } = await freeze()
    const once = (await pinsHeld(stack.sim)) - before

    await ask(stack.url, '/cwm/v1/windows', { body: { name: `${window.name}-twin`, session_id: session } })

    expect(once).toBe(window.receipt?.chunks)
    expect((await pinsHeld(stack.sim)) - before).toBe(2 * once)
  })
})

describe('a thaw', () => {
  it('by header, with only the new turn sent, restores all whole chunks after engine and L1 are lost', async () => {
    const { name, window, history } = await freeze()
    const control = await chat(stack.url, [...history, user('And who sails it?')])
    await emptyEngine()

    const turn = await chat(stack.url, [user('And who sails it?')], { headers: inWindow(name) })

    const receipt = await thawOf(stack.url, turn.session)
    expect(receipt?.restored_tokens).toBe(wholeChunks(window.receipt?.tokens ?? 0))
    expect(receipt?.recomputed_tokens).toBe((window.receipt?.tokens ?? 0) - wholeChunks(window.receipt?.tokens ?? 0))
    expect(turn.got.headers).toMatchObject({ 'x-cwm-window': name, 'x-cwm-restored': String(receipt?.restored_tokens) })
    expect(turn.reply).toEqual(control.reply)
    expect(turn.promptTokens).toBe(control.promptTokens)
  })

  it('by path lets later turns omit the header', async () => {
    const { name, history } = await freeze()
    const path = `/cwm/w/${name}${CHAT}`
    const first = await chat(stack.url, [user('Who sails it?')], { path })
    const second = await chat(stack.url, [user('Who sails it?'), first.reply, user('Since when?')], { path })
    const third = await chat(stack.url, [
      user('Who sails it?'),
      first.reply,
      user('Since when?'),
      second.reply,
      user('Why?'),
    ])

    expect([second.session, third.session]).toEqual([first.session, first.session])
    expect(sentChats().at(-1)?.messages.slice(0, 3)).toEqual(history.map((message) => expect.objectContaining(message)))
    expect(sentChats().at(-1)?.messages).toHaveLength(8)
    expect(new Set(sentChats().map((sent) => sent.cache_salt)).size).toBe(1)
    expect(third.got.headers['x-cwm-restored']).toBeUndefined()
    expect(third.got.headers['x-cwm-window']).toBe(name)
  })

  it('by name in a session continues under that name without the header, whatever is sent', async () => {
    const { name } = await freeze()
    const session = `of-${name}`
    await chat(stack.url, [user('One?')], { headers: inWindow(name, session) })
    const again = await chat(stack.url, [user('Two?')], { headers: { 'x-cwm-session': session } })
    const repeated = await chat(stack.url, [user('Three?')], { headers: inWindow(name, session) })

    expect([again, repeated].map((turn) => turn.got.headers['x-cwm-window'])).toEqual([name, name])
    expect(sentChats().map((sent) => sent.messages.length)).toEqual([2, 4, 4, 4])
    expect(repeated.got.headers['x-cwm-restored']).toBeUndefined()
  })

  it('by REST binds a session', async () => {
    const { name, window } = await freeze()
    await emptyEngine()

    const got = await thawByRest(stack.url, name, { session_id: `rest-of-${name}` })
    const turn = await chat(stack.url, [user('What is it called?')], {
      headers: { 'x-cwm-session': `rest-of-${name}` },
    })

    const receipt = jsonOf<ThawReceiptJson>(got)
    expect(got.status).toBe(200)
    expect(receipt).toMatchObject({ window: name, session_id: `rest-of-${name}`, drift: false, warnings: [] })
    expect(receipt.restored_tokens).toBe(wholeChunks(window.receipt?.tokens ?? 0))
    expect(turn.got.headers['x-cwm-window']).toBe(name)
    expect(turn.cachedTokens).toBeGreaterThanOrEqual(receipt.restored_tokens ?? 0)
  })

  it('by REST without a session creates one', async () => {
    const { name } = await freeze()

    const receipt = jsonOf<ThawReceiptJson>(await thawByRest(stack.url, name))
    const turn = await chat(stack.url, [user('What is it called?')], {
      headers: { 'x-cwm-session': receipt.session_id },
    })

    expect(turn.got.headers['x-cwm-window']).toBe(name)
  })

  it('to l1 loads the chunks and binds no session', async () => {
    const { name, window } = await freeze()
    await emptyEngine()
    stack.sim.requests.clear()

    const got = await thawByRest(stack.url, name, { to: 'l1' })

    expect(jsonOf(got)).toMatchObject({
      window: name,
      to: 'l1',
      found_chunks: window.receipt?.chunks,
      total_chunks: window.receipt?.chunks,
    })
    expect(stack.sim.requests.all('engine').filter((entry) => entry.path === '/v1/completions')).toEqual([])
  })

  it.each([
    ['engine', (on: Stack) => on.sim.restartEngine()],
    ['LMCache', (on: Stack) => on.sim.restartLmcache()],
    ['coordinator', (on: Stack) => on.sim.restartCoordinator()],
    ['cwm', (on: Stack) => on.restart()],
    [
      'everything',
      async (on: Stack) => {
        await on.stop()
        await on.sim.restartEngine()
        await on.sim.restartLmcache()
        await on.sim.restartCoordinator()
        await on.restart()
      },
    ],
  ])('restores after a restart of: %s', async (_, restart) => {
    const { name, window } = await freeze()
    await restart(stack)
    if (_ !== 'engine') await stack.sim.restartEngine()

    const turn = await chat(stack.url, [user('What is it called?')], { headers: inWindow(name) })

    expect(Number(turn.got.headers['x-cwm-restored'])).toBe(wholeChunks(window.receipt?.tokens ?? 0))
  })

  it('with LMCache and coordinator down recomputes, and reports that', async () => {
    const { name, window } = await freeze()
    await stack.sim.restartEngine()
    await stack.sim.setOnline('lmcache', false)
    await stack.sim.setOnline('coordinator', false)
    try {
      const receipt = jsonOf<ThawReceiptJson>(await thawByRest(stack.url, name))

      expect(receipt).toMatchObject({ restored_tokens: 0, recomputed_tokens: window.receipt?.tokens })
      expect(receipt.warnings).not.toEqual([])
    } finally {
      await stack.sim.setOnline('lmcache', true)
      await stack.sim.setOnline('coordinator', true)
    }
  })

  it('with the engine down is 502, and does not change the session', async () => {
    const { name } = await freeze()
    await stack.sim.setOnline('engine', false)
    const got = await askChat(stack.url, [user('?')], { headers: inWindow(name, `down-${name}`) })
    const rest = await thawByRest(stack.url, name, { session_id: `down-${name}` })
    await stack.sim.setOnline('engine', true)
    const turn = await chat(stack.url, [user('?')], { headers: { 'x-cwm-session': `down-${name}` } })

    expect([got.status, errorOf(got).code, rest.status]).toEqual([502, 'upstream_refused', 502])
    expect(turn.got.headers['x-cwm-window']).toBeUndefined()
  })

  it('directly after the turn that freezes waits for the freeze', async () => {
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'delay', ms: 300 }, times: 1 })
    const name = `hurry-${Math.random()}`
    await chat(stack.url, [user(`${prose(400)}. The code word is larch.`)], { headers: { 'x-cwm-freeze': name } })

    const got = await askChat(stack.url, [user('What is the code word?')], { headers: inWindow(name) })

    expect(got.status).toBe(200)
    expect(got.text).toContain('larch')
  })

  it('of a window whose freeze failed is 422, which no SDK retries', async () => {
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })
    const { name } = await freeze()

    const got = await askChat(stack.url, [user('?')], { headers: inWindow(name) })

    expect([got.status, errorOf(got).code]).toEqual([422, 'window_failed'])
  })

  it('never changes the window', async () => {
    const { name } = await freeze()
    const before = await ask(stack.url, `/cwm/v1/windows/${name}`)
    await chat(stack.url, [user('One?')], { headers: inWindow(name) })
    await chat(stack.url, [user('Two?')], { headers: inWindow(name) })

    const {
      thaws,
      thawed_at: _at,
      base_of: _sessions,
      ...after
    } = jsonOf<Record<string, unknown>>(await ask(stack.url, `/cwm/v1/windows/${name}`))
    const { base_of: _none, ...same } = jsonOf<Record<string, unknown>>(before)
    expect(after).toEqual(same)
    expect(thaws).toBe(2)
  })

  it('into two sessions shares the window and separates what follows', async () => {
    const { name } = await freeze()
    const a = await chat(stack.url, [user('I am A.')], { headers: inWindow(name) })
    const b = await chat(stack.url, [user('I am B.')], { headers: inWindow(name) })

    expect(a.session).not.toBe(b.session)
    expect(new Set(sentChats().map((sent) => sent.cache_salt)).size).toBe(1)
  })

  it('followed by a freeze creates a child', async () => {
    const { name, window } = await freeze()
    const child = `${name}-child`

    await chat(stack.url, [user('The mate is Odd.')], { headers: { ...inWindow(name), 'x-cwm-freeze': child } })

    const frozen = await settled(stack.url, child)
    expect(frozen).toMatchObject({ state: 'frozen', parent: name, messages: 5 })
    expect(frozen.receipt?.tokens).toBeGreaterThan(window.receipt?.tokens ?? 0)
  })
})

describe('a client that continues a window', () => {
  it('may resend its whole history, which is then sent unchanged', async () => {
    const { name, history } = await freeze()

    const turn = await chat(stack.url, [...history, user('And?')], { headers: inWindow(name) })

    expect(turn.got.headers['x-cwm-window']).toBe(name)
    expect(sentChats().at(-1)?.messages).toEqual([...history, user('And?')])
  })

  it('may send an equal system message, which is not duplicated', async () => {
    const { name } = await freeze()

    await chat(stack.url, [system('You keep a harbour log.'), user('And?')], { headers: inWindow(name) })

    expect(
      sentChats()
        .at(-1)
        ?.messages.map((message) => message.role),
    ).toEqual(['system', 'user', 'assistant', 'user'])
  })

  it.each([
    ['another system prompt', [system('You are a pirate.'), user('And?')]],
    ['another first message', [user('Not what was said.'), assistant('No.'), user('And?')]],
  ])('and diverges by %s gets 409, and nothing is thawed', async (_, messages) => {
    const { name } = await freeze()
    stack.sim.requests.clear()

    const got = await askChat(stack.url, messages, { headers: inWindow(name, `div-${name}`) })

    expect([got.status, errorOf(got).code, errorOf(got).param]).toEqual([409, 'window_diverges', 'messages'])
    expect(stack.sim.requests.all('engine').filter((entry) => entry.method === 'POST')).toEqual([])
    expect(jsonOf(await ask(stack.url, `/cwm/v1/sessions/div-${name}`)).base_window).toBeUndefined()
  })

  it('and changed a reply in the middle gets 409', async () => {
    const { name, history } = await freeze()
    const changed = history.map((message) => (message.role === 'assistant' ? assistant('Changed.') : message))

    const got = await askChat(stack.url, [...changed, user('And?')], { headers: inWindow(name) })

    expect([got.status, errorOf(got).code]).toEqual([409, 'window_diverges'])
  })

  it('with another model or another dialect gets 409', async () => {
    const { name } = await freeze()

    const model = await askChat(stack.url, [user('?')], { headers: inWindow(name), body: { model: 'other' } })
    const dialect = await ask(stack.url, '/v1/messages', {
      headers: inWindow(name),
      body: { model: 'sim-model', max_tokens: 5, messages: [user('?')] },
    })

    expect([model.status, errorOf(model).param]).toEqual([409, 'model'])
    expect(dialect.status).toBe(409)
    expect(jsonOf(dialect)).toMatchObject({ type: 'error', error: { code: 'window_mismatch' } })
  })
})

describe('the SDKs', () => {
  it('of OpenAI: freeze by header, thaw by base URL', async () => {
    const plain = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'sdk', maxRetries: 0 })
    const messages = [{ role: 'user' as const, content: `${prose(500)}. The code word is larch.` }]
    await plain.chat.completions.create({ model: 'sim-model', messages }, { headers: { 'x-cwm-freeze': 'sdk-w' } })
    await settled(stack.url, 'sdk-w', { authorization: 'Bearer sdk' })
    const thawed = new OpenAI({ baseURL: `${stack.url}/cwm/w/sdk-w/v1`, apiKey: 'sdk', maxRetries: 0 })

    const answer = await thawed.chat.completions.create({
      model: 'sim-model',
      messages: [{ role: 'user', content: 'What is the code word?' }],
    })

    expect(answer.choices[0]?.message.content).toContain('larch')
  })

  it('of Anthropic: the same', async () => {
    const plain = new Anthropic({ baseURL: stack.url, apiKey: 'sdk-a', maxRetries: 0 })
    const messages = [{ role: 'user' as const, content: `${prose(500)}. The code word is alder.` }]
    await plain.messages.create(
      { model: 'sim-model', max_tokens: 20, messages },
      { headers: { 'x-cwm-freeze': 'sdk-a' } },
    )
    await settled(stack.url, 'sdk-a', { 'x-api-key': 'sdk-a' })
    const thawed = new Anthropic({ baseURL: `${stack.url}/cwm/w/sdk-a`, apiKey: 'sdk-a', maxRetries: 0 })

    const answer = await thawed.messages.create({
      model: 'sim-model',
      max_tokens: 40,
      messages: [{ role: 'user', content: 'What is the code word?' }],
    })

    expect(JSON.stringify(answer.content)).toContain('alder')
  })
})

describe('on another stack', () => {
  let other: Stack
  afterEach(() => other.close())

  it('with every tier emptied a thaw restores 0 and reports that', async () => {
    other = await startStack({ sim: { l2Adapters: [] } })
    const { name, window } = await freeze(other)
    await emptyEngine(other)

    const turn = await chat(other.url, [user('What is it called?')], { headers: inWindow(name) })

    expect(window.receipt?.durability).toBe('l1')
    expect(turn.got.headers['x-cwm-restored']).toBe('0')
    expect(await thawOf(other.url, turn.session)).toMatchObject({
      restored_tokens: 0,
      recomputed_tokens: window.receipt?.tokens,
    })
    expect(turn.reply.content).toContain('Sisal')
  })

  it('without prompt_tokens_details nothing is claimed', async () => {
    other = await startStack({ sim: { promptTokensDetails: false } })
    const { name, window } = await freeze(other)

    const turn = await chat(other.url, [user('?')], { headers: inWindow(name) })

    expect(window.receipt).toMatchObject({ durability: 'l2', cached_tokens: null, computed_tokens: null })
    expect(turn.got.headers['x-cwm-restored']).toBeUndefined()
    const receipt = await thawOf(other.url, turn.session)
    expect(receipt).toMatchObject({ restored_tokens: null, recomputed_tokens: null })
    expect(receipt?.warnings.join()).toContain('--enable-prompt-tokens-details')
  })

  it('without LMCache a window is text, and its thaw verifies what the engine has', async () => {
    other = await startStack({ sim: { lmcache: false } })
    const { name, window } = await freeze(other)
    const warm = jsonOf<ThawReceiptJson>(await thawByRest(other.url, name))
    await other.sim.restartEngine()
    const cold = jsonOf<ThawReceiptJson>(await thawByRest(other.url, name))

    expect(window.receipt).toMatchObject({ durability: 'text', pinned: false })
    expect(window.receipt?.notes?.join()).toContain('no KV layer')
    expect(warm.restored_tokens).toBeGreaterThan(500)
    expect(cold.restored_tokens).toBe(0)
    expect((await thawByRest(other.url, name, { to: 'l1' })).status).toBe(400)
  })

  it('whose LMCache is down at the freeze creates a window that claims nothing', async () => {
    other = await startStack()
    await other.sim.setOnline('lmcache', false)
    await other.sim.setOnline('coordinator', false)
    const { name, window } = await freeze(other)
    await other.sim.setOnline('lmcache', true)
    await other.sim.setOnline('coordinator', true)

    expect(window.state).toBe('frozen')
    expect(['unverified', 'text']).toContain(window.receipt?.durability)
    expect(window.receipt).toMatchObject({ pinned: false, restorable_tokens: 0 })
    expect(window.receipt?.warnings.length).toBeGreaterThan(0)
    expect((await thawByRest(other.url, name)).status).toBe(200)
  })

  it('whose coordinator alone is down freezes unpinned, and the reconciler pins once it is back', async () => {
    other = await startStack({ settings: { reconcile_interval_ms: 50 } })
    await freeze(other)
    const before = await pinsHeld(other.sim)
    await other.sim.setOnline('coordinator', false)
    const { window } = await freeze(other)

    await other.sim.setOnline('coordinator', true)

    expect(window.state).toBe('frozen')
    expect(window.receipt?.pinned).toBe(false)
    expect(window.receipt?.warnings.length).toBeGreaterThan(0)
    const held = await until('the lost pin is made', async () => {
      const now = await pinsHeld(other.sim)
      return now > before ? now : undefined
    })
    expect(held - before).toBe(window.receipt?.chunks)
  })

  const talks: readonly (readonly [string, string, (text: string, history?: readonly unknown[]) => object])[] = [
    [
      'messages',
      '/v1/messages',
      (text, history = []) => ({
        model: 'sim-model',
        max_tokens: 30,
        system: 'Be brief.',
        messages: [...history, user(text)],
      }),
    ],
    [
      'responses',
      '/v1/responses',
      (text, history = []) => ({ model: 'sim-model', instructions: 'Be brief.', input: [...history, user(text)] }),
    ],
  ]

  const talkOf = (dialect: string) => {
    const talk = talks.find(([name]) => name === dialect)
    if (talk === undefined) throw new Error(`no talk in ${dialect}`)
    return talk
  }

  it.each(talks)('with scale-out a window of %s is restorable', async (dialect, path, body) => {
    other = await startStack({ sim: { scaleOut: true } })
    const request: Ask = { body: body(`${prose(600)}. The code word is larch.`), headers: { 'x-cwm-freeze': 'w' } }
    expect((await ask(other.url, path, request)).status).toBe(200)
    const window = await settled(other.url, 'w')
    await emptyEngine(other)

    const got = await ask(other.url, path, { body: body('What is the code word?'), headers: inWindow('w') })

    expect(window).toMatchObject({ state: 'frozen', dialect, receipt: { durability: 'l2', pinned: true } })
    expect(Number(got.headers['x-cwm-restored'])).toBe(wholeChunks(window.receipt?.tokens ?? 0))
    expect(got.text).toContain('larch')
  })

  // `/tokenize` only accepts chat, where the fields of a call have another order than in /v1/responses.
  it('without scale-out a window of responses with calls is text, and reports that', async () => {
    const [dialect, path, body] = talkOf('responses')
    other = await startStack()
    const called = [
      user('What is the word?'),
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: 'none yet' },
    ]
    const request: Ask = {
      body: body(`${prose(600)}. The code word is larch.`, called),
      headers: { 'x-cwm-freeze': 'w' },
    }
    expect((await ask(other.url, path, request)).status).toBe(200)
    const window = await settled(other.url, 'w')

    const got = await ask(other.url, path, { body: body('What is the code word?'), headers: inWindow('w') })

    expect(window).toMatchObject({
      state: 'frozen',
      dialect,
      receipt: { durability: 'text', pinned: false, tokens: 0 },
    })
    expect(window.receipt?.warnings.join()).toContain('--enable-scale-out')
    expect(got.headers['x-cwm-restored']).toBe('0')
    expect(got.text).toContain('larch')
  })

  // `/tokenize` only accepts chat: cwm converts these to chat as vLLM does.
  it.each(['messages', 'responses'])('without scale-out a window of %s is also restorable', async (dialect) => {
    const [, path, body] = talkOf(dialect)
    other = await startStack()
    const request: Ask = { body: body(`${prose(600)}. The code word is larch.`), headers: { 'x-cwm-freeze': 'w' } }
    expect((await ask(other.url, path, request)).status).toBe(200)
    const window = await settled(other.url, 'w')
    await emptyEngine(other)

    const got = await ask(other.url, path, { body: body('What is the code word?'), headers: inWindow('w') })

    expect(window.receipt).toMatchObject({ durability: 'l2', pinned: true })
    expect(Number(got.headers['x-cwm-restored'])).toBe(wholeChunks(window.receipt?.tokens ?? 0))
    expect(got.text).toContain('larch')
  })

  it.each([true, false])('a chat window is restorable with scale-out %s', async (scaleOut) => {
    other = await startStack({ sim: { scaleOut } })
    const { name, window } = await freeze(other)
    await emptyEngine(other)

    const turn = await chat(other.url, [user('?')], { headers: inWindow(name) })

    expect(Number(turn.got.headers['x-cwm-restored'])).toBe(wholeChunks(window.receipt?.tokens ?? 0))
  })

  it('with an adapter keeps its own salt and is restorable', async () => {
    other = await startStack({ sim: { adapters: [{ name: 'tuned', path: './lora' }] } })
    const { name, window } = await freeze(other, { body: { model: 'tuned' } })
    await emptyEngine(other)

    const turn = await chat(other.url, [user('?')], { headers: inWindow(name), body: { model: 'tuned' } })
    const salts = other.sim.requests.all('engine').flatMap((entry) => (entry.path === CHAT ? saltsIn(entry.body) : []))

    expect(window.receipt?.durability).toBe('l2')
    expect(Number(turn.got.headers['x-cwm-restored'])).toBeGreaterThanOrEqual(256)
    expect(new Set(salts).size).toBe(1)
  })
})
