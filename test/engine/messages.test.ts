// Anthropic's SDK on /v1/messages: turns, streams, cache, and what a freeze of such a session guarantees.

import Anthropic from '@anthropic-ai/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cwmHeaders, longText, MODEL, measured } from './support/conversations.ts'
import { type Cwm, KEY, startCwm } from './support/cwm.ts'
import { bound, forget, rendersPrompts } from './support/stack.ts'

const SYSTEM = longText('You keep the mill book', 1_300)
let cwm: Cwm
let client: Anthropic

beforeAll(async () => {
  cwm = await startCwm()
  client = new Anthropic({ baseURL: cwm.url, apiKey: KEY, maxRetries: 0 })
})

afterAll(() => cwm.dispose())

const said = (content: string) => ({ role: 'user' as const, content })
const question = { model: MODEL, max_tokens: 16, temperature: 0, system: SYSTEM }

async function ask(messages: Anthropic.MessageParam[], headers: Record<string, string> = {}, from = client) {
  const { data, response } = await from.messages.create({ ...question, messages }, { headers }).withResponse()
  const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = data.usage
  return {
    reply: { role: 'assistant' as const, content: data.content },
    text: data.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    // `input_tokens` excludes cached tokens: docs/engine-behavior.md#anthropic-usage.
    promptTokens: input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0),
    cachedTokens: cache_read_input_tokens ?? 0,
    cwm: cwmHeaders(response.headers),
  }
}

describe('a conversation on /v1/messages', () => {
  it('is one session by its prefix, and its second turn is cached', async () => {
    const first = await ask([said('plain')])
    const second = await ask([said('plain'), first.reply, said('and then?')])

    expect(first.promptTokens).toBeGreaterThan(1_300)
    expect(first.cachedTokens).toBe(0)
    expect(second.cwm.session).toBe(first.cwm.session)
    expect(second.cachedTokens).toBeGreaterThanOrEqual(1_024)
  })

  it('works the same when streamed, with the message that the SDK assembled', async () => {
    const words = [said('streamed')]
    const first = client.messages.stream({ ...question, messages: words })
    const { response } = await first.withResponse()
    const reply = await first.finalMessage()

    const second = await ask([...words, { role: 'assistant', content: reply.content }, said('and then?')])

    expect(second.cwm.session).toBe(response.headers.get('x-cwm-session'))
    expect(second.cachedTokens).toBeGreaterThanOrEqual(1_024)
  })

  it("shares nothing with another session's, nor with another key's", async () => {
    await ask([said('shared?')], { 'x-cwm-session': 'm-1' })

    const session = await ask([said('shared?')], { 'x-cwm-session': 'm-2' })
    const stranger = new Anthropic({ baseURL: cwm.url, apiKey: 'key-stranger', maxRetries: 0 })
    const key = await ask([said('shared?')], { 'x-cwm-session': 'm-1' }, stranger)

    expect([session.cachedTokens, key.cachedTokens]).toEqual([0, 0])
  })
})

describe('a window of /v1/messages', () => {
  it('is restored, with or without render endpoints', async () => {
    const words = [said('frozen')]
    const plain = await ask(words, { 'x-cwm-session': 'plain' })
    const reference = await ask([...words, plain.reply, said('and then?')], { 'x-cwm-session': 'plain' })
    await ask(words, { 'x-cwm-session': 'frozen', 'x-cwm-freeze': 'mill' })
    const receipt = await cwm.frozen('mill')
    await forget()

    const answer = await ask([said('and then?')], { 'x-cwm-session': 'thawed', 'x-cwm-window': 'mill' })

    const thaw = await cwm.thawOf('thawed')
    measured('messages', {
      renders: await rendersPrompts(),
      frozen: receipt,
      restored: thaw.restored_tokens,
      ms: thaw.ms,
    })
    expect(answer.promptTokens).toBe(reference.promptTokens)
    expect(answer.text).toBe(reference.text)
    expect(receipt).toMatchObject({ durability: 'l2', pinned: true })
    expect(receipt.tokens).toBeGreaterThan(1_300)
    expect(thaw.restored_tokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })

  it('diverges with an error in Anthropic’s format', async () => {
    await ask([said('diverges')], { 'x-cwm-session': 'source', 'x-cwm-freeze': 'source' })
    await cwm.frozen('source')

    const refused = client.messages.create(
      { ...question, system: 'You are somebody else', messages: [said('and then?')] },
      { headers: { 'x-cwm-window': 'source' } },
    )

    await expect(refused).rejects.toMatchObject({
      status: 409,
      error: { type: 'error', error: { type: expect.any(String) } },
    })
  })

  it('cannot be used with another API', async () => {
    const answer = await fetch(`${cwm.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', 'x-cwm-window': 'source' },
      body: JSON.stringify({ model: MODEL, messages: [said('and then?')] }),
    })

    expect(answer.status).toBe(409)
    expect(await answer.json()).toMatchObject({ error: { code: 'window_mismatch' } })
  })
})
