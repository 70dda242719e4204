// Proxy, vLLM, LMCache server, coordinator and Redis all end and start again: what a window keeps is on disk. It takes minutes, so
// it is a run of its own (vitest.restart.config.ts), and it leaves the engine up, with the render endpoints.

import Anthropic from '@anthropic-ai/sdk'
import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cwm, type FreezeReceipt, KEY, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { restartStack, startStack } from './support/power.ts'
import { bound, engineUrl, forget, onePinEach, pinCounts, rendersPrompts, type Stored } from './support/stack.ts'
import { type Answer, ask, cwmHeaders, longText, MODEL, measured, openai, system, user } from './support/talk.ts'

const OPENING = [system(longText('You keep the log of the voyage', 2_000)), user('who wrote the name?')]
const NEXT = user('and which file was it?')
const UNNAMED = [user(longText('nobody names this one', 1_200))]

let cwm: Cwm
let hop: Hop
let client: OpenAI
let reference: Answer
let unnamed: Answer
let frozen: FreezeReceipt
let stored: Stored

beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
  client = openai(cwm.url)
  const plain = await ask(client, OPENING, named('plain'))
  reference = await ask(client, [...OPENING, plain.reply, NEXT], named('plain'))
  unnamed = await ask(client, UNNAMED)
  await ask(client, OPENING, named('frozen', { 'x-cwm-freeze': 'voyage' }))
  frozen = await cwm.frozen('voyage')
  stored = hop.lastWarm()

  await cwm.stop()
  await hop.close()
  const start = Date.now()
  await restartStack()
  measured('everything restarted', {
    seconds: Math.round((Date.now() - start) / 1000),
    renders: await rendersPrompts(),
  })
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url, dataDir: cwm.dataDir })
  client = openai(cwm.url)
})

afterAll(async () => {
  await cwm.dispose()
  await hop.close()
  await startStack()
})

const named = (id: string, headers: Record<string, string> = {}) => ({ headers: { 'x-cwm-session': id, ...headers } })

describe('after everything was restarted', () => {
  it('a window is restored from disk, and the answer goes on as if nothing had happened', async () => {
    const answer = await ask(client, [NEXT], named('thawed', { 'x-cwm-window': 'voyage' }))

    const { ms, ...thaw } = await cwm.thawOf('thawed')
    measured('thaw after the restart', { frozen: frozen.tokens, bound: bound(frozen.tokens), ...thaw, ms })
    expect(frozen.durability).toBe('l2')
    expect(thaw.restored_tokens).toBeGreaterThanOrEqual(bound(frozen.tokens))
    expect(thaw).toMatchObject({ tokens: frozen.tokens, drift: false })
    expect(answer.promptTokens).toBe(reference.promptTokens)
    expect(answer.ids).toEqual(reference.ids)
    expect(answer.ids).toHaveLength(16)
  })

  it('its pins are still there, once', async () => {
    expect(await pinCounts(stored.salt)).toEqual(onePinEach(frozen.tokens))
  })

  it('a conversation that nobody named or froze goes on in its session, with what LMCache kept of it', async () => {
    const answer = await ask(client, [...UNNAMED, unnamed.reply, user('and then?')])

    expect(answer.cwm.session).toBe(unnamed.cwm.session)
    expect(answer.cachedTokens).toBeGreaterThanOrEqual(1_024)
  })
})

describe('with the render endpoints', () => {
  it('the engine has them', async () => {
    expect(await rendersPrompts()).toBe(true)
  })

  it('a chat window with tools is restored', async () => {
    const body = { tools: [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }] }
    const first = await ask(client, OPENING, { ...named('tools', { 'x-cwm-freeze': 'tools' }), body })
    const receipt = await cwm.frozen('tools')
    const expected = await ask(client, [...OPENING, first.reply, NEXT], { ...named('tools'), body })
    await forget()

    const answer = await ask(client, [NEXT], named('tools-thawed', { 'x-cwm-window': 'tools' }))

    expect(receipt).toMatchObject({ durability: 'l2', warnings: [] })
    expect(Number(answer.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(answer.promptTokens).toBe(expected.promptTokens)
    expect(answer.ids).toEqual(expected.ids)
  })

  it('a window of /v1/messages is restored', async () => {
    const anthropic = new Anthropic({ baseURL: cwm.url, apiKey: KEY, maxRetries: 0 })
    const say = async (messages: Anthropic.MessageParam[], headers: Record<string, string>) => {
      const body = { model: MODEL, max_tokens: 16, temperature: 0, system: longText('the mill', 1_300), messages }
      const { data, response } = await anthropic.messages.create(body, { headers }).withResponse()
      return { content: data.content, usage: data.usage, cwm: cwmHeaders(response.headers) }
    }
    const [opening, next] = [
      { role: 'user' as const, content: 'who?' },
      { role: 'user' as const, content: 'and then?' },
    ]
    const first = await say([opening], { 'x-cwm-session': 'mill', 'x-cwm-freeze': 'mill' })
    const receipt = await cwm.frozen('mill')
    const expected = await say([opening, { role: 'assistant', content: first.content }, next], {
      'x-cwm-session': 'mill',
    })
    await forget()

    const answer = await say([next], { 'x-cwm-session': 'mill-thawed', 'x-cwm-window': 'mill' })

    measured('messages with render', { frozen: receipt.tokens, restored: answer.cwm.restored })
    expect(receipt).toMatchObject({ durability: 'l2', pinned: true, warnings: [] })
    expect(receipt.tokens).toBeGreaterThan(1_300)
    expect(Number(answer.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(answer.content).toEqual(expected.content)
  })

  it('a window of /v1/responses is restored', async () => {
    const say = async (input: OpenAI.Responses.ResponseInput, headers: Record<string, string>) => {
      const instructions = longText('the quay', 1_300)
      const body = { model: MODEL, max_output_tokens: 16, temperature: 0, instructions, input }
      const { data, response } = await client.responses.create(body, { headers }).withResponse()
      return { text: data.output_text, output: data.output, usage: data.usage, cwm: cwmHeaders(response.headers) }
    }
    const [opening, next] = [user('who?'), user('and then?')] as OpenAI.Responses.ResponseInputItem[] as [
      OpenAI.Responses.ResponseInputItem,
      OpenAI.Responses.ResponseInputItem,
    ]
    const first = await say([opening], { 'x-cwm-session': 'quay', 'x-cwm-freeze': 'quay' })
    const receipt = await cwm.frozen('quay')
    const echo = first.output as OpenAI.Responses.ResponseInputItem[]
    const expected = await say([opening, ...echo, next], { 'x-cwm-session': 'quay' })
    await forget()

    const answer = await say([next], { 'x-cwm-session': 'quay-thawed', 'x-cwm-window': 'quay' })

    measured('responses with render', { frozen: receipt.tokens, restored: answer.cwm.restored })
    expect(receipt).toMatchObject({ durability: 'l2', pinned: true, warnings: [] })
    expect(receipt.tokens).toBeGreaterThan(1_300)
    expect(Number(answer.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(answer.usage?.input_tokens).toBe(expected.usage?.input_tokens)
    expect(answer.text).toBe(expected.text)
  })
})
