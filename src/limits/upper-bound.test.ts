import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import {
  GENERATION_PROMPT_TOKENS,
  upperTokens,
  upperTokensOfMessage,
  upperTokensOfShaping,
  upperTokensOfText,
} from './upper-bound.ts'

const bytes = (text: string) => Buffer.byteLength(text)

it('a text has as many tokens as bytes at most', () => {
  expect([upperTokensOfText(''), upperTokensOfText('abc'), upperTokensOfText('é'), upperTokensOfText('👍')]).toEqual([
    0, 3, 2, 4,
  ])
})

// Qwen's tokenizer reads the composed form, and Unicode composes none of these: it takes them apart.
it('a text that is longer when composed has as many as that has bytes', () => {
  expect(upperTokensOfText('\u0958')).toBe(bytes('\u0915\u093c'))
})

it('the whole is the sum of its parts, so a caller may add to a size that it knows', () => {
  const messages = [
    { role: 'user', content: 'one' },
    { role: 'assistant', content: 'two' },
  ]
  const shaping = { tools: [{ type: 'function', function: { name: 'look' } }] }

  const parts = messages.reduce((sum, message) => sum + upperTokensOfMessage(message), upperTokensOfShaping(shaping))

  expect(upperTokens({ messages, shaping })).toBe(parts + GENERATION_PROMPT_TOKENS)
})

describe('a message', () => {
  const text = 'é"\n'.repeat(100)

  it('of text is near its bytes: what surrounds it is under a hundred', () => {
    const content = 'x'.repeat(1_000)

    expect(upperTokensOfMessage({ role: 'user', content })).toBeLessThan(1_100)
  })

  it.each<[string, JsonValue]>([
    ['a result of chat', { role: 'tool', tool_call_id: 'c', content: text }],
    ['a result in a message', { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: text }] }],
    ['a result of responses', { type: 'function_call_output', call_id: 'c', output: text }],
    ['arguments of chat', { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: { text } } }] }],
    ['input of a tool', { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: { text } }] }],
    ['a field that nobody knows', { role: 'user', content: '', extra: { text } }],
    ['content of a shape that nobody knows', { role: 'user', content: { text } }],
    ['a message that is none', [text]],
  ])('with %s has room for it as ASCII within a string', (_, message) => {
    const escaped = '\\\\u00e9\\\\\\"\\\\n'.length * 100

    expect(upperTokensOfMessage(message)).toBeGreaterThanOrEqual(escaped)
  })

  it('counts each block that becomes a message of its own', () => {
    const block = { type: 'tool_result', tool_use_id: 'c', content: '' }
    const size = (count: number) =>
      upperTokensOfMessage({ role: 'user', content: Array.from({ length: count }, () => block) })

    expect(size(11) - size(1)).toBeGreaterThan(10 * 32)
  })
})

describe('what stands beside the messages', () => {
  it('counts a namespace once for each of its tools', () => {
    const namespace = 'n'.repeat(1_000)
    const tools = Array.from({ length: 5 }, (_, at) => ({ type: 'function', name: `t${at}` }))

    expect(upperTokensOfShaping({ tools: [{ type: 'namespace', name: namespace, tools }] })).toBeGreaterThan(5_000)
  })

  it('has no bound where the client brings a template of its own', () => {
    expect(upperTokensOfShaping({ chat_template: '{{ messages }}' })).toBe(Number.POSITIVE_INFINITY)
  })
})
