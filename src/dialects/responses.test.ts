// Responses: how answers are read and items identified.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonical,
  expectCompleteOnlyWhole,
  expectNoneAlike,
  expectSameReply,
  fromJson,
  fromStream,
  jsonText,
  word,
} from '../../test/support/dialects.ts'
import { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import { rulesOf } from './index.ts'

describe('usage', () => {
  it.each([['responses', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }]] as const)(
    'is read from "%s"',
    (name, usage) => {
      expect(fromJson('responses', name).usage).toEqual(usage)
    },
  )

  it.each([
    ['responses, stream', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
  ] as const)('is read from the stream "%s"', (name, usage) => {
    expect(fromStream('responses', name).usage).toEqual(usage)
  })
})

describe('the reply', () => {
  it.each([
    ['responses', 'responses, stream'],
    ['responses, tool called', 'responses, stream, tool called'],
  ] as const)('"%s" equals the stream "%s"', (json, stream) => {
    expectSameReply('responses', json, stream)
  })
})

describe('a stream that breaks', () => {
  const names = ['responses, stream', 'responses, stream, tool called']

  it.each(names)('"%s" is complete when whole, and not before its last required event', (name) => {
    expectCompleteOnlyWhole('responses', name, 0)
  })
})

describe('the identity of a message', () => {
  const same: [string, JsonValue, JsonValue][] = [
    [
      "a refusal and the same text, in an item's parts",
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
      { role: 'assistant', content: [{ type: 'output_text', text: 'no' }] },
    ],
    [
      'an output item and its echo',
      {
        id: 'msg_1',
        status: 'completed',
        type: 'message',
        role: 'assistant',
        phase: null,
        content: [{ type: 'output_text', text: 'x', annotations: [], logprobs: null }],
      },
      { role: 'assistant', content: 'x' },
    ],
    [
      'a call and its echo',
      {
        id: 'fc_1',
        status: 'completed',
        type: 'function_call',
        call_id: 'c',
        name: 'f',
        arguments: '{"a": 1}',
        namespace: null,
      },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{"a":1}' },
    ],
    [
      'input text and input parts',
      { role: 'user', content: 'hi' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
    ],
  ]

  it.each(same)('is the same for: %s', (_, a, b) => {
    expect(canonical('responses', a)).toBe(canonical('responses', b))
  })

  const different: [string, JsonValue, JsonValue][] = [
    [
      'a call and its result',
      { type: 'function_call', call_id: 'c', name: '', arguments: '' },
      { type: 'function_call_output', call_id: 'c', output: '' },
    ],
    ['two references', { type: 'item_reference', id: 'msg_1' }, { type: 'item_reference', id: 'msg_2' }],
  ]

  it.each(different)('differs for: %s', (_, a, b) => {
    expect(canonical('responses', a)).not.toBe(canonical('responses', b))
  })

  it('excludes reasoning items from every history', () => {
    expect(rulesOf('responses').canonical({ type: 'reasoning', id: 'r', summary: [] })).toEqual({
      text: undefined,
      fromModel: true,
    })
  })

  it('is unique for each item', () => {
    expectNoneAlike(
      'responses',
      fc.oneof(
        fc.record({
          type: fc.constant('message'),
          role: word,
          content: fc.array(fc.record({ type: fc.constant('input_text'), text: word }), { maxLength: 3 }),
        }),
        fc.record({
          type: fc.constant('function_call'),
          call_id: word,
          name: word,
          arguments: jsonText,
        }),
        fc.record({
          type: fc.constant('function_call_output'),
          call_id: word,
          output: fc.array(fc.record({ type: fc.constant('input_text'), text: word }), { maxLength: 2 }),
        }),
      ),
    )
  })
})

describe('requests', () => {
  it.each([[{ input: 5 }], [{}]])('without an array of items are rejected: %j', (body) => {
    expect(() => rulesOf('responses').readMessages(body)).toThrow(CwmError)
  })

  it('are one user message if the input is a string', () => {
    expect(rulesOf('responses').readMessages({ input: 'hi' })).toEqual([{ role: 'user', content: 'hi' }])
  })

  it('may have their system prompt outside the items', () => {
    expect(rulesOf('responses').outerSystem({ instructions: 'be good' })).toEqual({
      role: 'system',
      content: 'be good',
    })
    expect(rulesOf('responses').outerSystem({})).toBeUndefined()
  })

  it('are probed with the result of an open call, because nothing else may follow it', () => {
    expect(rulesOf('responses').probe('p', { type: 'function_call', call_id: 'a' })).toEqual([
      { type: 'function_call_output', call_id: 'a', output: 'p' },
    ])
    expect(rulesOf('responses').probe('p', undefined)).toEqual([{ role: 'user', content: 'p' }])
  })

  it.each([
    [{ type: 'function_call', id: 'fc', call_id: 'a' }, ['a'], []],
    [{ type: 'function_call' }, [''], []],
    [{ type: 'custom_tool_call', call_id: 'a' }, ['a'], []],
    [{ type: 'computer_call', call_id: 'a' }, ['a'], []],
    [{ type: 'web_search_call', id: 'ws' }, [], []],
    [{ type: 'mcp_call', id: 'm', output: 'x' }, [], []],
    [{ type: 'mcp_approval_request', id: 'm' }, ['m'], []],
    [{ type: 'mcp_approval_response', approval_request_id: 'm' }, [], ['m']],
    [{ type: 'function_call_output', call_id: 'a' }, [], ['a']],
    [{ type: 'custom_tool_call_output', call_id: 'a' }, [], ['a']],
    [{ type: 'computer_call_output' }, [], ['']],
    [{ type: 'item_reference', id: 'x' }, [''], ['']],
    [{ type: 'message', role: 'user', content: 'x' }, [], []],
    [{ type: 'reasoning' }, [], []],
    [null, [], []],
  ])('contain calls and results: %j', (item, calls, answers) => {
    expect([rulesOf('responses').toolCallIds(item), rulesOf('responses').toolResultIds(item)]).toEqual([calls, answers])
  })

  it('limit the answer', () => {
    expect(rulesOf('responses').maxTokens({ max_output_tokens: 5 })).toBe(5)
    expect(rulesOf('responses').maxTokens({ max_output_tokens: null })).toBeUndefined()
  })
})

it.each(['mcp_list_tools', 'mcp_approval_request', 'mcp_call'])("recognizes '%s' as the engine's own item", (type) => {
  expect(rulesOf('responses').canonical({ type, id: 'm' }).fromModel).toBe(true)
})

it('recognizes an answer that ran out of tokens', () => {
  const answer = { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, output: [] }

  expect(rulesOf('responses').observeJson(answer).choices[0]?.finishReason).toBe(rulesOf('responses').cutReason)
})

describe('a response that a request continues', () => {
  const { stored } = rulesOf('responses')

  it('is identified by a text id', () => {
    expect(stored?.continued({ previous_response_id: 'resp_1' })).toBe('resp_1')
    expect(stored?.continued({ previous_response_id: '' })).toBe('')
    expect(stored?.continued({ previous_response_id: null })).toBeUndefined()
  })

  it.each([5, true, {}, []])('is never identified by %j', (id) => {
    expect(() => stored?.continued({ previous_response_id: id })).toThrow(CwmError)
  })

  it('is stored unless the client opts out or chose the id itself', () => {
    expect(stored?.keeps({})).toBe(true)
    expect(stored?.keeps({ store: true, request_id: null })).toBe(true)
    expect(stored?.keeps({ store: false })).toBe(false)
    expect(stored?.keeps({ request_id: 'mine' })).toBe(false)
  })
})
