// Questions to one window by REST: what is restored, what stays behind, and what goes wrong.

import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { WindowAnswerJson } from '../../src/wire/asks.ts'
import { ask, errorOf } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, deleteWindow, frozenSession, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld, settled } from '../support/windows.ts'

let stack: Stack
beforeEach(async () => {
  stack = await startStack()
  await frozenSession(stack.url, { session: 'ann', window: 'w' })
})
afterEach(() => stack.close())

const asked = (body: object, window = 'w') => rest<WindowAnswerJson>(stack.url, 'POST', `/windows/${window}/ask`, body)
const askCode = async (body: object, window = 'w') =>
  errorOf(await call(stack.url, 'POST', `/windows/${window}/ask`, body)).code

interface SentBody {
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly tool_choice?: string
  readonly cache_salt: string
}
const sent = (): readonly SentBody[] =>
  stack.sim.requests
    .all('engine')
    .filter(({ path }) => path === '/v1/chat/completions')
    .map(({ body }) => JSON.parse(body.toString()) as SentBody)

it('is answered from KV that was stored before the engine restarted', async () => {
  await stack.sim.restartEngine()
  stack.sim.script({ content: 'Lomvi' })

  const { window, answer, usage, receipt } = await asked({ question: 'What is the buoy called?' })

  expect([window, answer]).toEqual(['w', 'Lomvi'])
  const restored = receipt.restored_tokens ?? 0
  expect(restored).toBeGreaterThanOrEqual(512)
  expect(restored + (receipt.computed_tokens ?? 0)).toBe(usage?.prompt_tokens)
  expect(receipt).toMatchObject({ drift: false, finish_reason: 'stop', branch_kv: 'until_evicted' })
  expect(receipt.tiers_before.l2).toBeGreaterThanOrEqual(2)
})

it('says in the receipt how long the engine would have computed the prompt, once it was seen to compute one', async () => {
  const unknown = await asked({ question: 'What is the buoy called?' })
  await rest(stack.url, 'PUT', '/windows/document', { model: 'sim-model', document: prose(900, 'harbor') })
  await settled(stack.url, 'document')

  const { receipt } = await asked({ question: 'What is the buoy called?' })

  expect(unknown.receipt.compute_ms).toBeNull()
  expect(receipt.compute_ms).toEqual(expect.any(Number))
})

describe('where the storage is slower than the engine', () => {
  it('the receipt says that loading was slower than computing', async () => {
    const slow = await startStack({ sim: { prefillTokensPerSecond: 20_000, loadTokensPerSecond: 2_000 } })
    onTestFinished(() => slow.close())
    await rest(slow.url, 'PUT', '/windows/document', { model: 'sim-model', document: prose(900, 'harbor') })
    await settled(slow.url, 'document')
    await slow.sim.restartEngine()

    const { receipt } = await rest<WindowAnswerJson>(slow.url, 'POST', '/windows/document/ask', { question: 'Where?' })

    expect(receipt.restored_tokens).toBeGreaterThan(1_000)
    expect(receipt.notes).toEqual([expect.stringMatching(/^loading was slower than computing: /)])
  })
})

it('leaves no session, no pin, and no other trace but an audit entry', async () => {
  const before = await rest<{ data: object[] }>(stack.url, 'GET', '/sessions')
  const pins = await pinsHeld(stack.sim)

  await asked({ question: 'Who is there?', instructions: 'Answer in one word.' })

  expect((await rest<{ data: object[] }>(stack.url, 'GET', '/sessions')).data).toHaveLength(before.data.length)
  expect(await pinsHeld(stack.sim)).toBe(pins)
  const entry = await until('the audit entry', async () => {
    const { data } = await rest<{ data: { action: string; receipt?: object }[] }>(stack.url, 'GET', '/audit')
    return data.find(({ action }) => action === 'ask')
  })
  expect(entry).toMatchObject({ target: 'window', name: 'w', outcome: 'ok' })
  expect(JSON.stringify(entry)).not.toMatch(/Who is there|one word/)
})

it('sends nonce, instructions, and question in one message, under the lineage of the window', async () => {
  await asked({ question: 'And now?', instructions: 'Be brief.' })
  await asked({ question: 'And now?', instructions: 'Be brief.' })

  const [turn, first, second] = sent()
  const nonce = (body: SentBody | undefined) =>
    /^\[([\w-]{10,})\]\n\nBe brief\.\n\nAnd now\?$/.exec(body?.messages.at(-1)?.content ?? '')?.[1]
  expect(first?.messages.length).toBe(3)
  expect(nonce(first)).toBeDefined()
  expect(nonce(second)).not.toBe(nonce(first))
  expect([first?.cache_salt, second?.cache_salt]).toEqual([turn?.cache_salt, turn?.cache_salt])
})

it('does not let the same question of a second user be seen in its cached tokens', async () => {
  const question = prose(600, 'secret')
  const first = await asked({ question })
  const second = await asked({ question })

  expect(second.receipt.restored_tokens).toBe(first.receipt.restored_tokens)
})

it('streams the text as it is written, then the whole answer', async () => {
  stack.sim.script({ content: 'north of the pier' })

  const got = await ask(stack.url, '/cwm/v1/windows/w/ask', { body: { question: 'Where?', stream: true } })

  const events = [...got.text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)].map(([, kind, data]) => ({
    kind,
    data: JSON.parse(data ?? '') as { text?: string; answer?: string },
  }))
  const pieces = events.filter(({ kind }) => kind === 'text')
  expect(pieces.length).toBeGreaterThan(1)
  expect(pieces.map(({ data }) => data.text).join('')).toBe('north of the pier')
  expect(events.at(-1)).toMatchObject({ kind: 'answer', data: { answer: 'north of the pier' } })
})

describe('tools', () => {
  const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }]
  const frozenWith = async (window: string) => {
    await chat(stack.url, [user(prose(300))], {
      body: { tools },
      headers: { 'x-cwm-session': window, 'x-cwm-freeze': window },
    })
    await rest(stack.url, 'GET', `/windows/${window}?wait_ms=5000`)
  }

  it('of the window stay in the prompt, and may not be called', async () => {
    await frozenWith('tooled')

    const { receipt } = await asked({ question: 'What now?' }, 'tooled')

    expect(sent().at(-1)).toMatchObject({ tool_choice: 'none', tools })
    expect(receipt.drift).toBe(false)
  })

  it('that the engine leaves out cost one question, and the next ones keep them', async () => {
    await stack.close()
    stack = await startStack({ sim: { excludeToolsWhenNone: true } })
    await frozenWith('tooled')

    const first = await asked({ question: 'What now?' }, 'tooled')
    const second = await asked({ question: 'What now?' }, 'tooled')

    expect(first.receipt.notes.join()).toContain('--exclude-tools-when-tool-choice-none')
    expect(sent().at(-1)).not.toHaveProperty('tool_choice')
    expect(second.receipt.notes).toEqual([])
    expect(second.receipt.restored_tokens).toBeGreaterThan(first.receipt.restored_tokens ?? 0)
  })

  it('that the model calls nevertheless are an error', async () => {
    await stack.close()
    stack = await startStack({ sim: { excludeToolsWhenNone: true } })
    await frozenWith('tooled')
    await asked({ question: 'What now?' }, 'tooled')
    stack.sim.script({ toolCalls: [{ name: 'look', arguments: {} }] })

    expect(await askCode({ question: 'What now?' }, 'tooled')).toBe('ask_called_tool')
  })

  it('that wait for a result keep a window from being asked', async () => {
    stack.sim.script({ toolCalls: [{ name: 'look', arguments: {} }] })
    await frozenWith('calling')

    expect(await askCode({ question: 'What now?' }, 'calling')).toBe('ask_needs_tool_result')
  })
})

describe('faults', () => {
  it('of the request name the field', async () => {
    expect(await askCode({ question: '' })).toBe('invalid_field')
    expect(await askCode({ question: ' \n' })).toBe('invalid_field')
    expect(await askCode({ question: 'x', max_tokens: 0 })).toBe('invalid_field')
    expect(await askCode({ question: 'x' }, 'nothing')).toBe('window_not_found')
  })

  it('a question that does not fit is rejected before it is sent', async () => {
    const turns = sent().length
    const refused = await call(stack.url, 'POST', '/windows/w/ask', { question: 'x', max_tokens: 8_000 })

    expect(errorOf(refused)).toMatchObject({ code: 'context_length_exceeded', param: 'max_tokens' })
    expect(errorOf(refused).message).toMatch(/take \d+ of 8192 tokens: \d+ are left/)
    expect(sent()).toHaveLength(turns)
  })

  it('a question that leaves no room for an answer is rejected by name', async () => {
    const refused = await call(stack.url, 'POST', '/windows/w/ask', { question: 'word '.repeat(9_000) })

    expect(errorOf(refused)).toMatchObject({ code: 'context_length_exceeded', param: 'question' })
    expect(errorOf(refused).message).toMatch(/take \d+ of 8192 tokens: nothing is left for an answer\. Ask a shorter/)
  })

  it('an engine that breaks off is an error, never a short answer', async () => {
    for (const action of [{ kind: 'die-after-events', events: 2 }, { kind: 'die-before-headers' }] as const) {
      stack.sim.fault({ path: '/v1/chat/completions', action })
      expect(await askCode({ question: 'x' })).toBe('upstream_broken')
    }
  })

  it('in a stream are its last event', async () => {
    stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'die-after-events', events: 2 } })

    const got = await ask(stack.url, '/cwm/v1/windows/w/ask', { body: { question: 'x', stream: true } })

    expect(got.text).toMatch(/event: error\ndata: \{"error":\{.*"code":"upstream_broken".*\n\n$/)
    expect(got.text).not.toContain('event: answer')
  })
})

it('a window that is deleted while it is asked gets one more order, for what the question has stored since', async () => {
  stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'delay', ms: 300 } })
  const question = asked({ question: prose(300, 'deleted') }).catch((thrown: unknown) => thrown)
  await until('the question is at the engine', async () => (sent().length === 2 ? true : undefined))
  await rest(stack.url, 'DELETE', '/sessions/ann')
  await deleteWindow(stack.url, 'w')

  await question

  const orders = await rest<{ data: { name: string; state: string }[] }>(stack.url, 'GET', '/deletions')
  expect(orders.data.filter(({ name }) => name === 'w')).toMatchObject([{ state: 'open' }, {}])
})

it('belongs to its tenant', async () => {
  const stranger = await call(stack.url, 'POST', '/windows/w/ask', { question: 'x' }, { authorization: 'Bearer other' })
  const absent = await call(stack.url, 'POST', '/windows/v/ask', { question: 'x' }, { authorization: 'Bearer other' })

  expect(errorOf(stranger)).toEqual({
    ...errorOf(absent),
    message: errorOf(absent).message.replace('window v', 'window w'),
  })
  expect(stranger.status).toBe(404)
})
