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

it('a text has at most as many tokens as bytes', () => {
  expect([upperTokensOfText(''), upperTokensOfText('abc'), upperTokensOfText('é'), upperTokensOfText('👍')]).toEqual([
    0, 3, 2, 4,
  ])
})

// Qwen's tokenizer reads the composed form (NFC), which decomposes these characters.
it('a text whose NFC form is longer is bounded by the bytes of that form', () => {
  expect(upperTokensOfText('\u0958')).toBe(bytes('\u0915\u093c'))
})

it('sizes add up, so a caller may add to a known size', () => {
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

  it('of text is close to its bytes, with an overhead under a hundred', () => {
    const content = 'x'.repeat(1_000)

    expect(upperTokensOfMessage({ role: 'user', content })).toBeLessThan(1_100)
  })

  it.each<[string, JsonValue]>([
    ['a result of chat', { role: 'tool', tool_call_id: 'c', content: text }],
    ['a result in a message', { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: text }] }],
    ['a result of responses', { type: 'function_call_output', call_id: 'c', output: text }],
    ['arguments of chat', { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: { text } } }] }],
    ['input of a tool', { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: { text } }] }],
    ['an unknown field', { role: 'user', content: '', extra: { text } }],
    ['content of an unknown shape', { role: 'user', content: { text } }],
    ['a message that is not an object', [text]],
  ])('with %s is bounded by its ASCII form inside a string', (_, message) => {
    const escaped = '\\\\u00e9\\\\\\"\\\\n'.length * 100

    expect(upperTokensOfMessage(message)).toBeGreaterThanOrEqual(escaped)
  })

  it('counts each block that becomes a separate message', () => {
    const block = { type: 'tool_result', tool_use_id: 'c', content: '' }
    const size = (count: number) =>
      upperTokensOfMessage({ role: 'user', content: Array.from({ length: count }, () => block) })

    expect(size(11) - size(1)).toBeGreaterThan(10 * 32)
  })
})

describe('the fields beside the messages', () => {
  it('count a namespace once per tool', () => {
    const namespace = 'n'.repeat(1_000)
    const tools = Array.from({ length: 5 }, (_, at) => ({ type: 'function', name: `t${at}` }))

    expect(upperTokensOfShaping({ tools: [{ type: 'namespace', name: namespace, tools }] })).toBeGreaterThan(5_000)
  })

  it('have no bound if the client sends its own template', () => {
    expect(upperTokensOfShaping({ chat_template: '{{ messages }}' })).toBe(Number.POSITIVE_INFINITY)
  })
})
