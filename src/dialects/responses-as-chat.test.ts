// The conversion was compared, item by item, with what vLLM 0.32 renders: test/engine/size.test.ts does so again.

import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { ChatPurpose } from './dialect.ts'
import { responsesAsChat } from './responses-as-chat.ts'

const convert = (messages: readonly JsonValue[], shaping: JsonObject = {}, purpose: ChatPurpose = 'count') =>
  responsesAsChat({ dialect: 'responses', model: 'm', messages, shaping }, purpose)
const chatOf = (...messages: JsonValue[]) => convert(messages)?.messages

const question = { role: 'user', content: 'how cold?' }
const reply = (...texts: string[]) => ({
  type: 'message',
  id: 'msg_1',
  status: 'completed',
  role: 'assistant',
  content: texts.map((text) => ({ type: 'output_text', text, annotations: [] })),
})
const thought = (text: string) => ({
  type: 'reasoning',
  id: 'rs_1',
  summary: [{ type: 'summary_text', text: 'gist' }],
  content: [{ type: 'reasoning_text', text }],
})
const call = { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' }
const chatCall = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } }
const result = { type: 'function_call_output', call_id: 'c1', output: '-4' }

describe('a prompt of responses as chat', () => {
  it('begins with the instructions', () => {
    expect(convert([question], { instructions: 'be brief' })?.messages).toEqual([
      { role: 'system', content: 'be brief' },
      question,
    ])
    expect(convert([question], { instructions: '' })?.messages).toEqual([question])
  })

  it('has parts of text as such', () => {
    expect(chatOf({ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }] })).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
    ])
  })

  it('keeps the first part of a reply, as vLLM does', () => {
    expect(chatOf(question, reply('one', 'two'))).toEqual([question, { role: 'assistant', content: 'one' }])
  })

  it('makes one message of thoughts, words and calls that follow each other', () => {
    expect(chatOf(question, thought('hm'), reply('let me see'), call, call, result)).toEqual([
      question,
      { role: 'assistant', reasoning: 'hm', content: 'let me see', tool_calls: [chatCall, chatCall] },
      { role: 'tool', tool_call_id: 'c1', content: '-4' },
    ])
  })

  it('makes two of what one message has no room for', () => {
    expect(chatOf(question, reply('one'), reply('two'))).toEqual([
      question,
      { role: 'assistant', content: 'one' },
      { role: 'assistant', content: 'two' },
    ])
  })

  it('takes the gist for thoughts that are not there', () => {
    const { content: _, ...item } = thought('')

    expect(chatOf(question, item)).toEqual([question, { role: 'assistant', reasoning: 'gist' }])
  })

  it('has tools, template arguments and effort where chat has them, and no form of the answer', () => {
    const shaping = {
      tools: [{ type: 'function', name: 'look', parameters: { type: 'object' } }],
      tool_choice: 'auto',
      reasoning: { effort: 'low', summary: 'auto' },
      chat_template_kwargs: { terse: true },
      text: { format: { type: 'text' } },
    }
    const fn = { name: 'look', description: null, parameters: { type: 'object' }, strict: null, defer_loading: null }

    expect(convert([question], shaping)?.shaping).toEqual({
      chat_template_kwargs: { terse: true },
      reasoning_effort: 'low',
      tools: [{ type: 'function', function: fn }],
    })
  })

  it.each<[string, JsonValue, JsonObject]>([
    ['an image', { role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }, {}],
    ['a reply that is to be continued', { ...reply('half'), status: 'incomplete' }, {}],
    ['a refusal', { ...reply(), content: [{ type: 'refusal', refusal: 'no' }] }, {}],
    ['a reply without parts', reply(), {}],
    ['thoughts that only another engine can read', { ...thought(''), encrypted_content: 'x' }, {}],
    ['a call of a tool in a namespace', { ...call, namespace: 'weather' }, {}],
    ['a call of another kind', { type: 'custom_tool_call', call_id: 'c1', name: 'x', input: '' }, {}],
    ['a reference', { type: 'item_reference', id: 'msg_1' }, {}],
    ['an unknown field of a message', { ...question, name: 'Ann' }, {}],
    ['a tool that is no function', question, { tools: [{ type: 'custom', name: 'x' }] }],
    ['an unknown field beside the messages', question, { truncation: 'auto' }],
  ])('has no counterpart for %s', (_, item, shaping) => {
    expect(convert([item], shaping)).toBeUndefined()
  })

  // Their members come in another order there: as many tokens, but not the same.
  it('has calls for counting only', () => {
    expect(convert([question, call, result], {}, 'count')).toBeDefined()
    expect(convert([question, call, result], {}, 'ids')).toBeUndefined()
  })
})
