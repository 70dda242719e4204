import { expect, it } from 'vitest'
import { rulesOf } from '../dialects/index.ts'
import { textsOf } from './message-text.ts'

it('reads the text of a chat message, and not its pictures', () => {
  const message = {
    role: 'user',
    content: [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
    ],
  }

  expect(textsOf(message, rulesOf('chat'))).toEqual(['What is this?'])
})

it('reads tool calls and their results', () => {
  const call = {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'c1', type: 'function', function: { name: 'read_file', arguments: '{"path":"notes.md"}' } }],
  }
  const result = { role: 'tool', tool_call_id: 'c1', content: 'The mill is closed.' }

  expect(textsOf(call, rulesOf('chat'))).toEqual(['read_file', '{"path":"notes.md"}'])
  expect(textsOf(result, rulesOf('chat'))).toEqual(['The mill is closed.'])
})

it('reads blocks of Anthropic messages, and no encrypted reasoning', () => {
  const message = {
    role: 'assistant',
    content: [
      { type: 'thinking', thinking: 'They mean the mill.', signature: 'c2ln' },
      { type: 'redacted_thinking', data: 'c2VjcmV0' },
      { type: 'tool_use', id: 't1', name: 'look_up', input: { place: 'mill', floors: 3 } },
    ],
  }
  const result = {
    role: 'user',
    content: [{ type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: 'Closed.' }] }],
  }

  expect(textsOf(message, rulesOf('messages'))).toEqual(['They mean the mill.', 'look_up', 'mill'])
  expect(textsOf(result, rulesOf('messages'))).toEqual(['Closed.'])
})

it('reads items of responses', () => {
  const items = [
    {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: 'Where?' },
        { type: 'input_file', file_data: 'AAAA' },
      ],
    },
    { type: 'function_call_output', call_id: 'c1', output: 'At the quay.' },
  ]

  expect(items.map((item) => textsOf(item, rulesOf('responses')))).toEqual([['Where?'], ['At the quay.']])
})
