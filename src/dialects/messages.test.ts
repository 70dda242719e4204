// Anthropic's messages: how answers are read and messages identified.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonical,
  expectBrokenBy,
  expectCompleteOnlyWhole,
  expectNoneAlike,
  expectSameReply,
  fromJson,
  fromStream,
  json,
  word,
} from '../../test/support/dialects.ts'
import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import { rulesOf } from './index.ts'

describe('usage', () => {
  it.each([
    ['anthropic messages', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
    [
      'anthropic messages, long, cached',
      { promptTokens: 982, completionTokens: 3, totalTokens: 985, cachedTokens: 896 },
    ],
  ] as const)('is read from "%s"', (name, usage) => {
    expect(fromJson('messages', name).usage).toEqual(usage)
  })

  it.each([
    [
      'anthropic messages, stream, long, cached',
      { promptTokens: 982, completionTokens: 3, totalTokens: 985, cachedTokens: 896 },
    ],
  ] as const)('is read from the stream "%s"', (name, usage) => {
    expect(fromStream('messages', name).usage).toEqual(usage)
  })

  it("adds Anthropic's three parts of the prompt, wherever the stream reports them", () => {
    const read = (start: JsonObject, delta: JsonObject) =>
      rulesOf('messages').observeEvents([
        { type: 'message_start', message: { usage: start } },
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: delta },
        { type: 'message_stop' },
      ]).usage
    const whole = { promptTokens: 100, completionTokens: 7, totalTokens: 107, cachedTokens: 60 }
    const start = { input_tokens: 10, cache_read_input_tokens: 60, cache_creation_input_tokens: 30, output_tokens: 1 }

    expect(read(start, { output_tokens: 7 })).toEqual(whole)
    expect(read(start, { input_tokens: 10, output_tokens: 7 })).toEqual(whole)
    expect(read(start, { input_tokens: 10, cache_read_input_tokens: null, output_tokens: 7 })).toEqual(whole)
    expect(read({ input_tokens: 100, output_tokens: 0 }, { ...start, output_tokens: 7 })).toEqual(whole)
  })
})

describe('the reply', () => {
  it.each([
    ['anthropic messages', 'anthropic messages, stream'],
    ['anthropic messages, long, cached', 'anthropic messages, stream, long, cached'],
  ] as const)('"%s" equals the stream "%s"', (json, stream) => {
    expectSameReply('messages', json, stream)
  })
})

describe('a stream that breaks', () => {
  const names = ['anthropic messages, stream', 'anthropic messages, stream, tool used']

  it.each(names)('"%s" is complete when whole, and not before its last required event', (name) => {
    expectCompleteOnlyWhole('messages', name, 0)
  })

  it.each(names)('"%s" is not complete if it contains an error event', (name) => {
    expectBrokenBy('messages', name, { type: 'error', error: {} })
  })
})

describe('the identity of a message', () => {
  const same: [string, JsonValue, JsonValue][] = [
    [
      'blocks with citations and cache_control',
      { role: 'assistant', content: [{ type: 'text', text: 'x', citations: null }] },
      { role: 'assistant', content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] },
    ],
    [
      'text and a list of one text block',
      { role: 'user', content: 'hi' },
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
    ],
    [
      'thinking and none',
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 't', signature: 's' },
          { type: 'text', text: 'x' },
        ],
      },
      { role: 'assistant', content: [{ type: 'text', text: 'x' }] },
    ],
    [
      'a tool result as text and as a list',
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: 'ok' }] },
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'c',
            is_error: false,
            content: [{ type: 'text', text: 'ok' }],
            cache_control: { type: 'ephemeral' },
          },
        ],
      },
    ],
    [
      'an image in a tool result, with a moving cache_control',
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'c',
            content: [{ type: 'image', source: { data: 'd' }, cache_control: {} }],
          },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'c', content: [{ type: 'image', source: { data: 'd' } }] }],
      },
    ],
    [
      "Claude Code's changing system block",
      {
        role: 'system',
        content: [
          { type: 'text', text: 'x-anthropic-billing-header: 1' },
          { type: 'text', text: 'be good' },
        ],
      },
      {
        role: 'system',
        content: [
          { type: 'text', text: 'x-anthropic-billing-header: 2' },
          { type: 'text', text: 'be good' },
        ],
      },
    ],
  ]

  it.each(same)('is the same for: %s', (_, a, b) => {
    expect(canonical('messages', a)).toBe(canonical('messages', b))
  })

  const different: [string, JsonValue, JsonValue][] = [
    [
      'a user who quotes a billing header, in blocks',
      { role: 'user', content: [{ type: 'text', text: 'x-anthropic-billing-header 1' }] },
      { role: 'user', content: [{ type: 'text', text: 'x-anthropic-billing-header 2' }] },
    ],
    [
      'a tool input that is null and a missing one',
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: { a: null } }] },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: {} }] },
    ],
    [
      'a tool that failed and one that did not',
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: 'x', is_error: true }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: 'x' }] },
    ],
  ]

  it.each(different)('differs for: %s', (_, a, b) => {
    expect(canonical('messages', a)).not.toBe(canonical('messages', b))
  })

  it('is unique for each message', () => {
    expectNoneAlike(
      'messages',
      fc.record({
        role: fc.constantFrom('user', 'assistant'),
        content: fc.array(
          fc.oneof(
            fc.record({ type: fc.constant('text'), text: word }),
            fc.record({ type: fc.constant('tool_use'), id: word, name: word, input: json }),
            fc.record({
              type: fc.constant('tool_result'),
              tool_use_id: word,
              content: fc.array(fc.record({ type: fc.constant('text'), text: word }), { maxLength: 2 }),
            }),
            fc.record({ type: fc.constant('image'), source: json }),
          ),
          { maxLength: 3 },
        ),
      }),
    )
  })
})

describe('requests', () => {
  it('without an array of messages are rejected', () => {
    expect(() => rulesOf('messages').readMessages({ messages: { 0: 'x' } })).toThrow(CwmError)
  })

  it('have their system prompt outside the messages', () => {
    expect(rulesOf('messages').outerSystem({ system: 'be good' })).toEqual({ role: 'system', content: 'be good' })
    expect(rulesOf('messages').outerSystem({ system: null })).toBeUndefined()
  })

  it('are probed with results for open tool calls, because nothing else may follow them', () => {
    const use = {
      role: 'assistant',
      content: [
        { type: 'text', text: 'x' },
        { type: 'tool_use', id: 'a', name: 'f', input: {} },
      ],
    }

    expect(rulesOf('messages').probe('p', use)).toEqual([
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'p' }] },
    ])
    expect(rulesOf('messages').probe('p', undefined)).toEqual([{ role: 'user', content: 'p' }])
  })

  it('contain tool calls and their results as blocks, with or without ids', () => {
    const { toolCallIds, toolResultIds } = rulesOf('messages')
    const text = { type: 'text', text: 'x' }
    const message = (role: string, ...content: JsonValue[]) => ({ role, content })

    expect(toolCallIds(message('assistant', text, { type: 'tool_use', id: 'a' }, { type: 'tool_use' }))).toEqual([
      'a',
      '',
    ])
    expect(toolResultIds(message('user', { type: 'tool_result', tool_use_id: 'a' }, text))).toEqual(['a'])
    expect(toolResultIds(message('user', { type: 'tool_result' }))).toEqual([''])
    // The engine's own tools: call and result are in one message.
    const own = message(
      'assistant',
      { type: 'server_tool_use', id: 'a' },
      { type: 'web_search_tool_result', tool_use_id: 'a' },
    )
    for (const none of [own, message('user', text), { content: 'x' }, null]) {
      expect([toolCallIds(none), toolResultIds(none)]).toEqual([[], []])
    }
  })

  it('limit the answer', () => {
    expect(rulesOf('messages').maxTokens({ max_tokens: 5 })).toBe(5)
  })
})

it('recognizes an answer that ran out of tokens', () => {
  const answer = { content: [{ type: 'text', text: 'x' }], stop_reason: 'max_tokens' }

  expect(rulesOf('messages').observeJson(answer).choices[0]?.finishReason).toBe(rulesOf('messages').cutReason)
})
