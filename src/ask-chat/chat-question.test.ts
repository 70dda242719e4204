import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { readChatQuestion } from './chat-question.ts'

const user = (content: JsonObject['content']) => ({ role: 'user', content: content ?? null })
const refusalOf = (body: JsonObject) => {
  try {
    return readChatQuestion(body)
  } catch (thrown) {
    if (!(thrown instanceof CwmError)) throw thrown
    return `${thrown.code} ${thrown.param}`
  }
}

it('takes the last message as the question, and the rest as the conversation', () => {
  const asked = readChatQuestion({
    model: 'ask:law',
    messages: [
      { role: 'developer', content: 'Answer in French.' },
      user('Who?'),
      { role: 'assistant', content: 'Ann.' },
      user([
        { type: 'text', text: 'And' },
        { type: 'text', text: 'when?' },
      ]),
    ],
    max_tokens: 20,
    temperature: 0,
  })

  expect(asked).toEqual({
    question: 'And\nwhen?',
    conversation: [
      { role: 'system', text: 'Answer in French.' },
      { role: 'user', text: 'Who?' },
      { role: 'assistant', text: 'Ann.' },
    ],
    maxTokens: 20,
    temperature: 0,
    stream: false,
    includeUsage: false,
  })
})

it('names images of earlier turns, and leaves tool calls and their results out', () => {
  const { conversation } = readChatQuestion({
    messages: [
      user([
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: 'data:' } },
      ]),
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'tool', content: '7' },
      user('And?'),
    ],
  })

  expect(conversation).toEqual([{ role: 'user', text: 'What is this?\n[image_url]' }])
})

it('reads the options of a stream', () => {
  const asked = readChatQuestion({ messages: [user('?')], stream: true, stream_options: { include_usage: true } })

  expect(asked).toMatchObject({ stream: true, includeUsage: true })
})

describe('rejects with the field', () => {
  const messages = [user('Who?')]
  it.each<[string, JsonObject]>([
    ['NOT_SUPPORTED n', { messages, n: 2 }],
    ['NOT_SUPPORTED tools', { messages, tools: [{ type: 'function' }] }],
    ['NOT_SUPPORTED functions', { messages, functions: [{ name: 'look' }] }],
    ['NOT_SUPPORTED response_format', { messages, response_format: { type: 'json_object' } }],
    ['NOT_SUPPORTED logprobs', { messages, logprobs: true }],
    ['NOT_SUPPORTED stop', { messages, stop: ['\n'] }],
    ['NOT_SUPPORTED messages', { messages: [user([{ type: 'image_url', image_url: { url: 'data:' } }])] }],
    ['INVALID_FIELD messages', {}],
    ['INVALID_FIELD messages', { messages: [] }],
    ['INVALID_FIELD messages', { messages: [user('Who?'), { role: 'assistant', content: 'A' }] }],
    ['INVALID_FIELD messages', { messages: [user('  ')] }],
    ['INVALID_FIELD max_tokens', { messages, max_tokens: 0 }],
    ['INVALID_FIELD max_completion_tokens', { messages, max_completion_tokens: 'many' }],
    ['INVALID_FIELD temperature', { messages, temperature: 3 }],
  ])('%s', (refusal, body) => {
    expect(refusalOf(body)).toBe(refusal)
  })

  it.each([{ n: 1 }, { tools: [] }, { response_format: { type: 'text' } }, { logprobs: false }, { stop: null }])(
    'but not %o, which changes nothing',
    (fields) => {
      expect(refusalOf({ messages, ...fields })).toMatchObject({ question: 'Who?' })
    },
  )
})
