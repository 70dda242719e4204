// Windows of every dialect on an engine with render endpoints (`--enable-scale-out`). Both suites run them: the normal one if the
// engine was started that way, and the restart suite, which does so itself.

import Anthropic from '@anthropic-ai/sdk'
import type OpenAI from 'openai'
import { expect, it } from 'vitest'
import { ask, cwmHeaders, longText, MODEL, measured, openai, system, user } from './conversations.ts'
import { type Cwm, KEY } from './cwm.ts'
import { bound, forget, rendersPrompts } from './stack.ts'

const OPENING = [system(longText('You keep the log of the tools', 1_300)), user('who wrote the name?')]
const NEXT = user('and which file was it?')
const named = (id: string, headers: Record<string, string> = {}) => ({ headers: { 'x-cwm-session': id, ...headers } })

/** Registers the tests, which use the proxy that is running at that time. */
export function describeRenderedWindows(proxy: () => Cwm): void {
  it('the engine has them', async () => {
    expect(await rendersPrompts()).toBe(true)
  })

  it('a chat window with tools is restored', async () => {
    const body = { tools: [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }] }
    const [cwm, client] = [proxy(), openai(proxy().url)]
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
    const cwm = proxy()
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
    const [cwm, client] = [proxy(), openai(proxy().url)]
    const say = async (input: OpenAI.Responses.ResponseInput, headers: Record<string, string>) => {
      const instructions = longText('the quay', 1_300)
      const body = {
        model: MODEL,
        max_output_tokens: 16,
        temperature: 0,
        ...{ frequency_penalty: 2 },
        instructions,
        input,
      }
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
}
