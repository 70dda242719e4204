// Chat completions: how answers are read and messages identified.

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
  jsonText,
  sameIds,
  word,
} from '../../test/support/dialects.ts'
import { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import { rulesOf } from './index.ts'

describe('usage', () => {
  it.each([['chat', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }]] as const)(
    'is read from "%s"',
    (name, usage) => {
      expect(fromJson('chat', name).usage).toEqual(usage)
    },
  )

  it.each([
    ['chat, stream with usage', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
    ['chat, stream with continuous usage', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
    ['chat, stream without usage', undefined],
  ] as const)('is read from the stream "%s"', (name, usage) => {
    expect(fromStream('chat', name).usage).toEqual(usage)
  })

  it('accepts 0 as a count, and rejects other values', () => {
    const read = (usage: JsonValue) => rulesOf('chat').observeJson({ usage }).usage

    expect(read({ prompt_tokens: 0 })).toEqual({ promptTokens: 0, completionTokens: 0, totalTokens: 0 })
    for (const wrong of [-1, 1.5, '3', null, 1e300, true]) expect(read({ prompt_tokens: wrong })).toBeUndefined()
    expect(read({ prompt_tokens: 1, prompt_tokens_details: { cached_tokens: null } })).not.toHaveProperty(
      'cachedTokens',
    )
  })
})

describe('the reply', () => {
  it.each([
    ['chat', 'chat, stream with usage'],
    ['chat', 'chat, "stream": "true" streams'],
    ['chat, n=2', 'chat, stream n=2 without usage'],
    ['chat, tool called', 'chat, tool called, stream without usage'],
    ['chat, tool_choice names one', 'chat, tool_choice names one, stream without usage'],
  ] as const)('"%s" equals the stream "%s"', (json, stream) => {
    expectSameReply('chat', json, stream)
  })

  it('of a tool called in a stream has its name, id and arguments', () => {
    expect(sameIds(fromStream('chat', 'chat, tool called, stream with usage').choices)).toEqual([
      {
        finishReason: 'tool_calls',
        messages: [
          {
            role: 'assistant',
            content: '',
            tool_calls: [
              { id: 'call', type: 'function', function: { name: 'weather', arguments: '{"city": "Rome"}' } },
            ],
          },
        ],
      },
    ])
  })

  it('keeps the id of a call if later deltas have an empty one', () => {
    const call = (id: string, args: string) => ({
      choices: [
        { index: 0, delta: { tool_calls: [{ index: 0, id, function: { arguments: args } }] }, finish_reason: null },
      ],
    })

    const { choices } = rulesOf('chat').observeEvents([call('c1', '{'), call('', '}')])

    expect(choices[0]?.messages[0]).toMatchObject({ tool_calls: [{ id: 'c1', function: { arguments: '{}' } }] })
  })
})

describe('a stream that breaks', () => {
  const names = ['chat, stream with usage', 'chat, stream n=2 with usage', 'chat, tool called, stream with usage']

  it.each(names)('"%s" is complete when whole, and not before its last required event', (name) => {
    // The finish reasons mark the end; the usage event follows them.
    expectCompleteOnlyWhole('chat', name, 1)
  })

  it.each(names)('"%s" is not complete if it contains an error event', (name) => {
    expectBrokenBy('chat', name, { error: { message: 'x', code: 500 } })
  })
})

describe('the identity of a message', () => {
  const same: [string, JsonValue, JsonValue][] = [
    [
      'text and a list of one text part',
      { role: 'user', content: 'hi' },
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
    ],
    [
      'no content and null',
      { role: 'assistant', tool_calls: [] },
      { role: 'assistant', content: null, tool_calls: [] },
    ],
    [
      'a refusal and the same text',
      { role: 'assistant', content: null, refusal: 'no' },
      { role: 'assistant', content: 'no' },
    ],
    ['no content and empty text', { role: 'assistant', content: '' }, { role: 'assistant', content: null }],
    [
      'an echo with nulls and one without',
      {
        role: 'assistant',
        content: 'x',
        refusal: null,
        annotations: [],
        audio: null,
        function_call: null,
        reasoning: 'r',
      },
      { role: 'assistant', content: 'x' },
    ],
    [
      'arguments in another JSON format',
      {
        role: 'assistant',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"b": 1.0, "a": [1, 2]}' } }],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ index: 0, id: 'c', function: { arguments: '{"a":[1,2],"b":1}', name: 'f' } }],
      },
    ],
    [
      'no arguments and an empty object',
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '' } }] },
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
    ],
    [
      'a moving cache_control',
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'u' }, cache_control: { type: 'ephemeral' } }] },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'u', detail: null } }] },
    ],
    [
      "Claude Code's changing line in a system prompt",
      { role: 'system', content: 'x-anthropic-billing-header: cch=1\nbe good' },
      { role: 'system', content: [{ type: 'text', text: 'x-anthropic-billing-header: cch=2\nbe good' }] },
    ],
  ]

  it.each(same)('is the same for: %s', (_, a, b) => {
    expect(canonical('chat', a)).toBe(canonical('chat', b))
  })

  const different: [string, JsonValue, JsonValue][] = [
    ['two roles', { role: 'user', content: 'x' }, { role: 'system', content: 'x' }],
    [
      'one part and two',
      { role: 'user', content: [{ type: 'text', text: 'ab' }] },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
    ],
    ['refusals', { role: 'assistant', refusal: 'x' }, { role: 'assistant', refusal: 'y' }],
    [
      'text that looks like a frame',
      { role: 'user', content: 'at1:b' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
    ],
    [
      'two tool call ids',
      { role: 'tool', tool_call_id: 'a', content: 'x' },
      { role: 'tool', tool_call_id: 'b', content: 'x' },
    ],
    [
      'two images',
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'a' } }] },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'b' } }] },
    ],
    [
      'an argument that is null and a missing one',
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{"a":null}' } }] },
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
    ],
    [
      'a null in a list',
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '[null]' } }] },
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '[]' } }] },
    ],
    [
      'a user who quotes a billing header',
      { role: 'user', content: 'x-anthropic-billing-header 1\nx' },
      { role: 'user', content: 'x-anthropic-billing-header 2\nx' },
    ],
  ]

  it.each(different)('differs for: %s', (_, a, b) => {
    expect(canonical('chat', a)).not.toBe(canonical('chat', b))
  })

  it('is unique for each message', () => {
    expectNoneAlike(
      'chat',
      fc.record(
        {
          role: fc.constantFrom('user', 'assistant', 'tool'),
          content: fc.array(fc.record({ type: fc.constant('text'), text: word }), { maxLength: 3 }),
          name: word,
          tool_call_id: word,
          tool_calls: fc.array(
            fc.record({
              id: word,
              function: fc.record({
                name: word,
                arguments: jsonText,
              }),
            }),
            { maxLength: 2 },
          ),
        },
        { requiredKeys: ['role', 'content', 'tool_calls'] },
      ),
    )
  })
})

describe('requests', () => {
  it.each([[{}], [{ messages: 'hi' }]])('without an array of messages are rejected: %j', (body) => {
    expect(() => rulesOf('chat').readMessages(body)).toThrow(CwmError)
  })

  it('limit the answer by the newer field, otherwise by the older', () => {
    const { maxTokens } = rulesOf('chat')

    expect(maxTokens({})).toBeUndefined()
    expect(maxTokens({ max_tokens: 5 })).toBe(5)
    expect(maxTokens({ max_tokens: 5, max_completion_tokens: 7 })).toBe(7)
    expect(maxTokens({ max_tokens: 5, max_completion_tokens: null })).toBe(5)
  })

  it('are probed with results for open tool calls, because nothing else may follow them', () => {
    const call = { role: 'assistant', tool_calls: [{ id: 'a' }, { id: 'b' }] }

    expect(rulesOf('chat').probe('p', call)).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'p' },
      { role: 'tool', tool_call_id: 'b', content: 'p' },
    ])
    expect(rulesOf('chat').probe('p', undefined)).toEqual([{ role: 'user', content: 'p' }])
  })

  it('contain tool calls and their results, with or without ids', () => {
    const { toolCallIds, toolResultIds } = rulesOf('chat')

    expect(toolCallIds({ role: 'assistant', tool_calls: [{ id: 'a' }, {}] })).toEqual(['a', ''])
    expect(toolCallIds({ role: 'assistant', function_call: { name: 'f' } })).toEqual([''])
    expect(toolCallIds({ role: 'assistant', content: 'x', tool_calls: null })).toEqual([])
    expect(toolResultIds({ role: 'tool', tool_call_id: 'a', content: 'x' })).toEqual(['a'])
    expect(toolResultIds({ role: 'tool', content: 'x' })).toEqual([''])
    expect(toolResultIds({ role: 'function', name: 'f', content: 'x' })).toEqual([''])
    for (const none of [{ role: 'user', content: 'x' }, 'x', null])
      expect([toolCallIds(none), toolResultIds(none)]).toEqual([[], []])
  })
})

it('recognizes an answer that ran out of tokens', () => {
  const choice = { message: { role: 'assistant', content: 'x' }, finish_reason: 'length' }

  expect(rulesOf('chat').observeJson({ choices: [choice] }).choices[0]?.finishReason).toBe(rulesOf('chat').cutReason)
})
