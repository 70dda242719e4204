// Agents in their own loops, with their own SDKs, across several cuts: calls stay with their results, and nothing is answered 400.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { prose } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

const LIMIT = 2048
const PAGES = 24
const model = 'sim-model'
const TASK = 'Read the whole log, page by page, and say who came.'

let stack: Stack
beforeEach(async () => {
  stack = await startStack({ sim: { maxModelLen: LIMIT }, settings: { overflow: 'rollover', freeze_at: 0 } })
  for (let page = 0; page < PAGES; page++) stack.sim.script({ toolCalls: [{ name: 'read_log', arguments: { page } }] })
})
afterEach(() => stack.close())

const parameters = { type: 'object' as const, properties: { page: { type: 'integer' } }, required: ['page'] }
const pageOfLog = (page: unknown) => `Page ${String(page)}: ${prose(70, `mill${String(page)}`)}`

interface SentBody {
  readonly messages: readonly { readonly role: string; readonly content: unknown; readonly tool_call_id?: string }[]
}

function sent(path: string): SentBody[] {
  return stack.sim.requests
    .all('engine')
    .filter((request) => request.path === path)
    .map(({ body }) => JSON.parse(body.toString('utf8')) as SentBody)
}

async function cuts(): Promise<number> {
  const { text } = await ask(stack.url, '/cwm/metrics')
  return Number(/cwm_rollovers_total (\d+)/.exec(text)?.[1] ?? 0)
}

describe('an agent across several cuts', () => {
  it('on the openai SDK keeps its task, and each result with its call', async () => {
    const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none', maxRetries: 0 })
    const tools: OpenAI.ChatCompletionTool[] = [{ type: 'function', function: { name: 'read_log', parameters } }]
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'system', content: 'You read logs.' },
      { role: 'user', content: TASK },
    ]

    const read: number[] = []
    let said: string | null = null
    while (said === null) {
      const { choices } = await client.chat.completions.create({ model, messages, tools })
      const message = choices[0]?.message
      if (message === undefined) throw new Error('no choice')
      messages.push(message)
      for (const call of message.tool_calls ?? []) {
        if (call.type !== 'function') continue
        const { page } = JSON.parse(call.function.arguments) as { page: number }
        read.push(page)
        messages.push({ role: 'tool', tool_call_id: call.id, content: pageOfLog(page) })
      }
      if (message.tool_calls === undefined) said = message.content
    }

    expect(said).not.toBe('')
    expect(read).toEqual(Array.from({ length: PAGES }, (_, page) => page))
    expect(await cuts()).toBeGreaterThanOrEqual(2)
    for (const { messages: out } of sent('/v1/chat/completions')) {
      expect(out[0]?.role).toBe('system')
      expect(out[1]?.content).toBe(TASK)
      const calls = out.flatMap((message) => (message as { tool_calls?: { id: string }[] }).tool_calls ?? [])
      const results = out.flatMap(({ tool_call_id: id }) => id ?? [])
      expect(results).toEqual(calls.map(({ id }) => id))
    }
  })

  it('on Anthropic’s SDK keeps its task, and each result with its call', async () => {
    const client = new Anthropic({ baseURL: stack.url, apiKey: 'none', maxRetries: 0 })
    const tools: Anthropic.Tool[] = [{ name: 'read_log', input_schema: parameters }]
    const messages: Anthropic.MessageParam[] = [{ role: 'user', content: TASK }]

    const read: number[] = []
    let said: string | undefined
    while (said === undefined) {
      const { content } = await client.messages.create({
        model,
        max_tokens: 200,
        system: 'You read logs.',
        messages,
        tools,
      })
      messages.push({ role: 'assistant', content })
      const calls = content.filter((block) => block.type === 'tool_use')
      if (calls.length === 0) said = content.find((block) => block.type === 'text')?.text ?? ''
      else {
        const results = calls.map(({ id, input }) => {
          const { page } = input as { page: number }
          read.push(page)
          return { type: 'tool_result' as const, tool_use_id: id, content: pageOfLog(page) }
        })
        messages.push({ role: 'user', content: results })
      }
    }

    expect(said).not.toBe('')
    expect(read).toEqual(Array.from({ length: PAGES }, (_, page) => page))
    expect(await cuts()).toBeGreaterThanOrEqual(2)
    for (const { messages: out } of sent('/v1/messages')) {
      expect(out[0]?.content).toBe(TASK)
      const blocks = out.flatMap(({ content }) =>
        Array.isArray(content) ? (content as Record<string, unknown>[]) : [],
      )
      const calls = blocks.flatMap(({ type, id }) => (type === 'tool_use' ? [id] : []))
      const results = blocks.flatMap(({ type, tool_use_id: id }) => (type === 'tool_result' ? [id] : []))
      expect(results).toEqual(calls)
    }
  })
})
