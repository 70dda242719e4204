// Behavior that all dialects share.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../test/support/dialects.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import { dialectNames, rulesOf } from './index.ts'

describe('an answer', () => {
  it('is not complete if it is empty, in any dialect', () => {
    for (const dialect of dialectNames) {
      expect(rulesOf(dialect).observeEvents([]).complete).toBe(false)
      expect(rulesOf(dialect).observeJson({}).complete).toBe(false)
      expect(rulesOf(dialect).observeJson({ error: { message: 'x' } }).complete).toBe(false)
    }
  })

  it('may contain events of any form', () => {
    const names = fc.constantFrom(
      'choices',
      'delta',
      'message',
      'index',
      'type',
      'usage',
      'content_block',
      'tool_calls',
    )
    const texts = fc.constantFrom('message_start', 'content_block_start', 'content_block_delta', 'response.completed')
    const value = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        texts,
        fc.integer({ min: -1, max: 3 }),
        fc.constantFrom(null, true),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(names, tie('value'), { maxKeys: 4 }),
      ),
    })).value
    fc.assert(
      fc.property(fc.array(fc.dictionary(names, value), { maxLength: 4 }), (events) => {
        for (const dialect of dialectNames) {
          const { choices } = rulesOf(dialect).observeEvents(events as JsonObject[])
          for (const { messages } of choices) for (const message of messages) canonical(dialect, message)
        }
      }),
      { numRuns: 500, seed: 1 },
    )
  })

  it('may contain a tool input nested deeper than the stack', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000)
    const { choices } = rulesOf('messages').observeEvents([
      { type: 'content_block_start', index: 0, content_block: { type: 'tool_use', id: 'c', name: 'f', input: {} } },
      { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: `{"a":${deep}}` } },
    ])

    expect(canonical('messages', choices[0]?.messages[0] ?? null)).toBeDefined()
    expect(
      canonical('chat', { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: deep } }] }),
    ).toContain(deep)
  })
})
