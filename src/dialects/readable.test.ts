import { expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import { readableMessage } from './readable.ts'

const png = Buffer.from('12345').toString('base64')

const cases: readonly (readonly [string, JsonValue, string, readonly object[]])[] = [
  ['a chat text', { role: 'user', content: 'hello' }, 'user', [{ kind: 'text', text: 'hello' }]],
  [
    'a chat message with an image',
    {
      role: 'user',
      content: [
        { type: 'text', text: 'look' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${png}`, detail: 'low' } },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
        { type: 'input_audio', input_audio: { data: png, format: 'wav' } },
      ],
    },
    'user',
    [
      { kind: 'text', text: 'look' },
      { kind: 'media', text: '', name: 'image/png', bytes: 5 },
      { kind: 'media', text: 'https://example.com/a.png', name: 'image_url' },
      { kind: 'media', text: '', name: 'wav', bytes: 5 },
    ],
  ],
  [
    'chat tool calls',
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'hmm',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'find', arguments: '{"a":1}' } }],
    },
    'assistant',
    [
      { kind: 'reasoning', text: 'hmm' },
      { kind: 'tool_call', text: '{\n  "a": 1\n}', name: 'find', callId: 'c1' },
    ],
  ],
  [
    'a chat tool result',
    { role: 'tool', tool_call_id: 'c1', content: 'found' },
    'tool',
    [{ kind: 'tool_result', text: 'found', callId: 'c1' }],
  ],
  [
    'Anthropic parts',
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: 't1',
          content: [
            { type: 'text', text: 'ok' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } },
          ],
        },
        { type: 'tool_use', id: 't2', name: 'go', input: {} },
        { type: 'thinking', thinking: 'so', signature: 'x' },
      ],
    },
    'user',
    [
      { kind: 'tool_result', text: 'ok', callId: 't1' },
      { kind: 'media', text: '', name: 'image/png', bytes: 5 },
      { kind: 'tool_call', text: '{}', name: 'go', callId: 't2' },
      { kind: 'reasoning', text: 'so' },
    ],
  ],
  [
    'a call of Responses',
    { type: 'function_call', call_id: 'r1', name: 'find', arguments: 'not json' },
    'assistant',
    [{ kind: 'tool_call', text: 'not json', name: 'find', callId: 'r1' }],
  ],
  [
    'a result of Responses',
    { type: 'function_call_output', call_id: 'r1', output: 'done' },
    'tool',
    [{ kind: 'tool_result', text: 'done', callId: 'r1' }],
  ],
  [
    'reasoning of Responses',
    { type: 'reasoning', summary: [{ type: 'summary_text', text: 'why' }] },
    'assistant',
    [{ kind: 'reasoning', text: 'why' }],
  ],
  [
    'encrypted reasoning',
    { type: 'reasoning', summary: [], encrypted_content: png },
    'assistant',
    [{ kind: 'other', text: 'encrypted reasoning', bytes: 5 }],
  ],
  [
    'an unknown item',
    { type: 'item_reference', id: 'x' },
    'item_reference',
    [{ kind: 'other', text: '{\n  "type": "item_reference",\n  "id": "x"\n}' }],
  ],
  ['a string', 'plain', 'user', [{ kind: 'text', text: 'plain' }]],
]

it.each(cases)('reads %s', (_, message, role, parts) => {
  expect(readableMessage(message)).toEqual({ role, parts })
})
