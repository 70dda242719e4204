// The conversion was compared, item by item, with vLLM 0.32; test/engine/size.test.ts repeats that.

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
  it('starts with the instructions', () => {
    expect(convert([question], { instructions: 'be brief' })?.messages).toEqual([
      { role: 'system', content: 'be brief' },
      question,
    ])
    expect(convert([question], { instructions: '' })?.messages).toEqual([question])
  })

  it('keeps text parts', () => {
    expect(chatOf({ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }] })).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
    ])
  })

  it('keeps the first part of a reply, as vLLM does', () => {
    expect(chatOf(question, reply('one', 'two'))).toEqual([question, { role: 'assistant', content: 'one' }])
  })

  it('merges consecutive thoughts, texts and calls into one message', () => {
    expect(chatOf(question, thought('hm'), reply('let me see'), call, call, result)).toEqual([
      question,
      { role: 'assistant', reasoning: 'hm', content: 'let me see', tool_calls: [chatCall, chatCall] },
      { role: 'tool', tool_call_id: 'c1', content: '-4' },
    ])
  })

  it('splits what does not fit into one message', () => {
    expect(chatOf(question, reply('one'), reply('two'))).toEqual([
      question,
      { role: 'assistant', content: 'one' },
      { role: 'assistant', content: 'two' },
    ])
  })

  it('uses the summary if the reasoning text is missing', () => {
    const { content: _, ...item } = thought('')

    expect(chatOf(question, item)).toEqual([question, { role: 'assistant', reasoning: 'gist' }])
  })

  it("puts tools, template arguments and effort into chat's fields, and omits the answer format", () => {
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
    ['an unfinished reply', { ...reply('half'), status: 'incomplete' }, {}],
    ['a refusal', { ...reply(), content: [{ type: 'refusal', refusal: 'no' }] }, {}],
    ['a reply without parts', reply(), {}],
    ['reasoning encrypted by another engine', { ...thought(''), encrypted_content: 'x' }, {}],
    ['a call to a tool in a namespace', { ...call, namespace: 'weather' }, {}],
    ['a call of another type', { type: 'custom_tool_call', call_id: 'c1', name: 'x', input: '' }, {}],
    ['a reference', { type: 'item_reference', id: 'msg_1' }, {}],
    ['an unknown field of a message', { ...question, name: 'Ann' }, {}],
    ['a tool that is not a function', question, { tools: [{ type: 'custom', name: 'x' }] }],
    ['an unknown field of the body', question, { truncation: 'auto' }],
  ])('has no counterpart for %s', (_, item, shaping) => {
    expect(convert([item], shaping)).toBeUndefined()
  })

  // vLLM orders their members differently: as many tokens, but other ones.
  it('includes calls for counting only', () => {
    expect(convert([question, call, result], {}, 'count')).toBeDefined()
    expect(convert([question, call, result], {}, 'ids')).toBeUndefined()
  })
})
