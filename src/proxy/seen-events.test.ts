// A stream that is read by its text deltas says the same as one that is parsed event by event.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../base/json.ts'
import { rulesOf } from '../dialects/index.ts'
import { decodeJsonEvents } from '../sse/decode.ts'
import { SeenEvents } from './seen-events.ts'

const { chat, completions, messages } = {
  chat: rulesOf('chat'),
  completions: rulesOf('completions'),
  messages: rulesOf('messages'),
}

/** As engines write JSON, or with everything beyond ASCII escaped, halves of surrogate pairs too. */
function spell(event: JsonObject, escaped: boolean): string {
  const text = JSON.stringify(event)
  if (!escaped) return text
  return text.replaceAll(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom(
    '"',
    '\\',
    '\n',
    'é',
    '漢',
    '👍',
    'x"finish_reason":"stop',
    '\\"',
    'data: [DONE]',
    '\ud83d',
    '\ude00',
    '',
  ),
)

const chunk = (delta: JsonObject, finish: string | null = null, index = 0): JsonObject => ({
  id: 'c-1',
  object: 'chat.completion.chunk',
  choices: [{ index, delta, logprobs: null, finish_reason: finish }],
})
const chatEvent = fc.oneof(
  { weight: 12, arbitrary: text.map((content) => chunk({ content })) },
  { weight: 3, arbitrary: text.map((reasoning) => chunk({ reasoning })) },
  { weight: 2, arbitrary: text.map((content) => chunk({ content }, null, 1)) },
  { weight: 1, arbitrary: text.map((content) => chunk({ role: 'assistant', content })) },
  {
    weight: 1,
    arbitrary: text.map((name) => chunk({ tool_calls: [{ index: 0, id: 'x', function: { name, arguments: name } }] })),
  },
  { weight: 1, arbitrary: text.map((content) => chunk({ content }, 'stop')) },
  { weight: 1, arbitrary: fc.constant<JsonObject>({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } }) },
  {
    weight: 1,
    arbitrary: fc.constant<JsonObject>({
      ...chunk({ content: 'a' }),
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    }),
  },
  { weight: 1, arbitrary: fc.constant<JsonObject>({ error: { message: 'broken' } }) },
)
const completionsEvent = fc.oneof(
  {
    weight: 9,
    arbitrary: text.map(
      (piece): JsonObject => ({ id: 'c', choices: [{ index: 0, text: piece, finish_reason: null }] }),
    ),
  },
  {
    weight: 1,
    arbitrary: text.map(
      (piece): JsonObject => ({ id: 'c', choices: [{ index: 0, text: piece, finish_reason: 'stop' }] }),
    ),
  },
)
const block = (index: number, delta: JsonObject): JsonObject => ({ type: 'content_block_delta', delta, index })
const messagesEvent = fc.oneof(
  { weight: 12, arbitrary: text.map((piece) => block(0, { type: 'text_delta', text: piece })) },
  { weight: 4, arbitrary: text.map((piece) => block(1, { type: 'thinking_delta', thinking: piece })) },
  { weight: 2, arbitrary: text.map((piece) => block(2, { type: 'input_json_delta', partial_json: piece })) },
  {
    weight: 2,
    arbitrary: fc
      .nat(2)
      .map((index): JsonObject => ({ type: 'content_block_start', content_block: { type: 'text', text: '' }, index })),
  },
  {
    weight: 1,
    arbitrary: fc.constant<JsonObject>({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn' },
      usage: { output_tokens: 5 },
    }),
  },
  { weight: 1, arbitrary: fc.constant<JsonObject>({ type: 'message_stop' }) },
)

describe('a stream read by its deltas', () => {
  it.each([
    ['chat', chat, chatEvent],
    ['completions', completions, completionsEvent],
    ['messages', messages, messagesEvent],
  ] as const)('says what it says event by event: %s', (_, rules, event) => {
    let deltas = 0
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 4, maxLength: 30 }),
        fc.boolean(),
        fc.boolean(),
        (events, escaped, named) => {
          const bytes = events.map((one) => {
            const line = named && typeof one.type === 'string' ? `event: ${one.type}\n` : ''
            return Buffer.from(`${line}data: ${spell(one, escaped)}\n\n`)
          })
          const seen = new SeenEvents(rules.deltas)
          for (const part of bytes) {
            if (seen.addDelta(part)) deltas++
            else seen.add(part)
          }

          expect(rules.observeEvents(seen.read())).toEqual(rules.observeEvents(decodeJsonEvents(Buffer.concat(bytes))))
        },
      ),
      { numRuns: 300, seed: 1 },
    )
    expect(deltas).toBeGreaterThan(150)
  })

  it('takes no event for a delta that says more than its text', () => {
    const seen = new SeenEvents(chat.deltas)
    const bytes = (event: JsonObject) => Buffer.from(`data: ${JSON.stringify(event)}\n\n`)
    seen.add(bytes(chunk({ content: 'first' })))

    expect(seen.addDelta(bytes(chunk({ content: 'second' })))).toBe(true)
    for (const other of [
      chunk({ content: 'last' }, 'stop'),
      chunk({ content: 'x' }, null, 1),
      chunk({ content: 'x', refusal: 'y' }),
      chunk({ refusal: 'x' }),
      { ...chunk({ content: 'x' }), id: 'c-2' },
      { ...chunk({ content: 'x' }), usage: {} },
    ]) {
      expect(seen.addDelta(bytes(other))).toBe(false)
    }
    const two = Buffer.concat([bytes(chunk({ content: 'a' })), bytes(chunk({ content: 'b' }))])
    expect(seen.addDelta(two)).toBe(false)
    expect(seen.addDelta(bytes(chunk({ content: 'whole' })).subarray(0, -1))).toBe(false)
  })

  it('loses no neighbour of a delta that is no JSON', () => {
    const seen = new SeenEvents(chat.deltas)
    const event = (content: string) => Buffer.from(`data: {"choices":[{"delta":{"content":"${content}"}}]}\n\n`)
    seen.add(event('one '))
    for (const content of ['two ', '\\x', 'three']) expect(seen.addDelta(event(content))).toBe(true)

    expect(chat.observeEvents(seen.read()).choices[0]?.messages).toEqual([
      { role: 'assistant', content: 'one two three' },
    ])
  })
})
