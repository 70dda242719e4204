// How close the local estimate is to a real tokenizer with a large vocabulary: cl100k, the simulator's.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { JsonValue } from '../../src/base/json.ts'
import { typicalTokens } from '../../src/limits/typical.ts'
import { typicalTokensOfMessage, typicalTokensOfShaping } from '../../src/limits/typical-messages.ts'
import { upperTokensOfMessage, upperTokensOfShaping } from '../../src/limits/upper-bound.ts'
import { encodeText } from '../../src/sim/tokenizer.ts'
import { SAMPLES } from '../support/languages.ts'

it.each(Object.entries(SAMPLES))('is between nine tenths and twice the count of %s', (_, text) => {
  const ratio = typicalTokens(text) / encodeText(text).length

  expect(ratio).toBeGreaterThanOrEqual(0.9)
  expect(ratio).toBeLessThanOrEqual(2)
})

it('is close to the count of a chat as the template writes it', () => {
  const turn = (text: string) => ({ role: 'user', content: text })
  const typical = Object.values(SAMPLES).reduce((sum, text) => sum + typicalTokensOfMessage(turn(text)), 0)
  const exact = Object.values(SAMPLES).reduce((sum, text) => sum + encodeText(`user\n${text}\n`).length + 2, 0)

  expect(typical / exact).toBeGreaterThan(1)
  expect(typical / exact).toBeLessThan(1.5)
})

it('is not affected by fields that SDKs add when they send a reply back', () => {
  const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } }
  const reply = { role: 'assistant', content: null, tool_calls: [call] }
  const echoed = {
    ...reply,
    tool_calls: [{ ...call, id: 'other', index: 0 }],
    refusal: null,
    annotations: [],
    audio: null,
  }

  expect(typicalTokensOfMessage(echoed)).toBe(typicalTokensOfMessage(reply))
})

it('counts all names in a schema: there `type` and `id` are part of the prompt', () => {
  const schema = (properties: JsonValue) => typicalTokensOfShaping({ tools: [{ input_schema: { properties } }] })

  expect(schema({ id: { type: 'string' } })).toBeGreaterThan(schema({}) + 3)
})

it('is never above the upper bound', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...Object.values(SAMPLES)))
  const content = fc.oneof(text, fc.array(fc.record({ type: fc.constant('text'), text })), fc.jsonValue())
  const message = fc.oneof(fc.record({ role: text, content }), fc.dictionary(text, fc.jsonValue()), fc.jsonValue())
  fc.assert(
    fc.property(message, fc.dictionary(text, fc.jsonValue()), (given, shaping) => {
      expect(typicalTokensOfMessage(given as JsonValue)).toBeLessThanOrEqual(upperTokensOfMessage(given as JsonValue))
      expect(typicalTokensOfShaping(shaping as never)).toBeLessThanOrEqual(upperTokensOfShaping(shaping as never))
    }),
  )
})
