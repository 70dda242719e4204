// Helpers for the tests of dialects, on recorded responses and random messages.

import fc from 'fast-check'
import { expect } from 'vitest'
import type { JsonObject, JsonValue } from '../../src/base/json.ts'
import type { Dialect } from '../../src/base/records.ts'
import type { Observation } from '../../src/dialects/dialect.ts'
import { rulesOf } from '../../src/dialects/index.ts'
import { decodeJsonEvents } from '../../src/sse/decode.ts'
import { recorded, recordedStream } from './recorded.ts'

export function fromJson(dialect: Dialect, name: string): Observation {
  return rulesOf(dialect).observeJson(recorded('vllm', name).response.body as JsonObject)
}

export function eventsOf(name: string): readonly JsonObject[] {
  return decodeJsonEvents(Buffer.from(recordedStream(name)))
}

export function fromStream(dialect: Dialect, name: string): Observation {
  return rulesOf(dialect).observeEvents(eventsOf(name))
}

export function canonical(dialect: Dialect, message: JsonValue): string | undefined {
  return rulesOf(dialect).canonical(message).text
}

/** Replaces ids of calls, which are random in each response. */
export function sameIds(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replace(/chatcmpl-tool-[0-9a-f]+/g, 'call')) as unknown
}

export function expectSameReply(dialect: Dialect, json: string, stream: string): void {
  const texts = ({ choices }: Observation) =>
    choices.map(({ messages, finishReason }) => ({
      texts: messages.map((message) => canonical(dialect, sameIds(message) as JsonValue)),
      finishReason,
    }))
  const whole = fromJson(dialect, json)
  const streamed = fromStream(dialect, stream)

  expect(texts(streamed)).toEqual(texts(whole))
  expect([whole.complete, streamed.complete]).toEqual([true, true])
}

/** `tail`: how many events may follow the one that completes the answer. */
export function expectCompleteOnlyWhole(dialect: Dialect, name: string, tail: number): void {
  const events = eventsOf(name)
  const completeAt = events.map((_, count) => rulesOf(dialect).observeEvents(events.slice(0, count)).complete)

  expect(rulesOf(dialect).observeEvents(events).complete).toBe(true)
  expect(completeAt.lastIndexOf(false)).toBe(events.length - 1 - tail)
}

/** Wherever in the stream it comes. */
export function expectBrokenBy(dialect: Dialect, name: string, error: JsonObject): void {
  const events = eventsOf(name)
  for (let at = 0; at <= events.length; at++) {
    const broken = [...events.slice(0, at), error, ...events.slice(at)]
    expect(rulesOf(dialect).observeEvents(broken).complete).toBe(false)
  }
}

/** Text that looks like event framing, and JSON values with it. */
export const word = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', '1', ':', 't', 'r', '"', '\ud83d', '\ude00', '\\'),
    minLength: 1,
    maxLength: 6,
  }),
  fc.constantFrom('t1:a', 'r4:user', 'c0:', '[DONE]', '{}'),
)
export const json = fc.dictionary(word, fc.oneof(word, fc.integer(), fc.boolean(), fc.array(word, { maxLength: 2 })), {
  maxKeys: 2,
})
export const jsonText = json.map((value) => JSON.stringify(value, Object.keys(value).sort()))

/** A canonical serialization of messages: equal texts mean equal messages. */
export function expectNoneAlike(dialect: Dialect, message: fc.Arbitrary<JsonValue>): void {
  const seen = new Map<string, string>()
  for (const sample of fc.sample(message, { numRuns: 2500, seed: 7 })) {
    const text = canonical(dialect, sample) ?? ''
    const known = seen.get(text)
    if (known !== undefined) expect(known).toBe(spelling(sample))
    seen.set(text, spelling(sample))
  }
  expect(seen.size).toBeGreaterThan(1000)
}

function spelling(value: JsonValue): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
