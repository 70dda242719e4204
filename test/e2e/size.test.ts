// The bound that is taken before a tokenizer has seen a prompt, against the simulator's own count: its template and cl100k, over the wire.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../../src/base/json.ts'
import type { Prompt } from '../../src/base/records.ts'
import { PREAMBLE_TOKENS, upperTokens, upperTokensOfText } from '../../src/context/size.ts'
import { type Sim, startSim } from '../../src/sim/index.ts'
import { encodeText } from '../../src/sim/tokenizer.ts'
import { Engine } from '../../src/upstream/engine.ts'
import { Upstream } from '../../src/upstream/upstream.ts'
import { SAMPLES } from '../support/languages.ts'

const PREAMBLE = 'Today is the second of March. You answer briefly, and you call tools where that helps.'
const RUNS = 150
const OPTIONS = { apiKey: undefined }

let sim: Sim
let upstream: Upstream
let engine: Engine

beforeAll(async () => {
  sim = await startSim({ scaleOut: true, preamble: PREAMBLE, maxModelLen: 1_000_000, lmcache: false })
  const patience = { connectTimeoutMs: 1_000, headersTimeoutMs: 10_000, bodyTimeoutMs: 10_000 }
  upstream = new Upstream({ url: sim.engineUrl, connections: 2, ...patience })
  engine = new Engine(upstream, 10_000)
})

afterAll(async () => {
  await upstream.close()
  await sim.close()
})

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(...Object.values(SAMPLES)),
  fc.constantFrom('<|im_end|>', '\u0958\u{1d160}\ufb2c', '\\"\n\t\u0001', '{"a":[1e15,{"b":null}]}'),
)
const name = fc.string({ unit: fc.constantFrom(...'abz_09'), minLength: 1, maxLength: 30 })
const json = fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }) as fc.Arbitrary<JsonValue>
const object = fc.dictionary(text, json, { maxKeys: 4 }) as fc.Arbitrary<JsonObject>
const args = fc.oneof(
  object.map((value) => JSON.stringify(value)),
  object.map((value) => JSON.stringify(value, null, 2)),
  text,
)
const textParts = (type: string) => fc.array(fc.record({ type: fc.constant(type), text }), { maxLength: 3 })
const unknown = fc.dictionary(name, json, { maxKeys: 2 })

/** A list that is never empty: no engine takes an empty conversation. */
const some = <T>(items: fc.Arbitrary<T>) => fc.array(items, { minLength: 1, maxLength: 6 }) as fc.Arbitrary<JsonValue[]>

const chatCall = fc.record({
  id: name,
  type: fc.constant('function'),
  function: fc.record({ name, arguments: fc.oneof(args, object) }),
})
const chatMessage = fc.oneof(
  fc.record({ role: fc.constantFrom('system', 'developer', 'user'), content: fc.oneof(text, textParts('text')) }),
  fc.record({ role: fc.constant('assistant'), content: text, reasoning: text, refusal: text }),
  fc.record({
    role: fc.constant('assistant'),
    content: fc.constant(null),
    tool_calls: fc.array(chatCall, { maxLength: 3 }),
  }),
  fc.record({ role: fc.constant('tool'), tool_call_id: name, content: fc.oneof(text, textParts('text')) }),
  fc.tuple(unknown, text).map(([fields, content]) => ({ ...fields, role: 'user', content })),
)
const chatTool = fc.record({
  type: fc.constant('function'),
  function: fc.record({ name, description: text, parameters: object }, { requiredKeys: ['name'] }),
})
const chat = fc.record({
  messages: some(chatMessage),
  shaping: fc.record({ tools: some(chatTool), chat_template_kwargs: object }, { requiredKeys: [] }),
})

const block = fc.oneof(
  fc.record({ type: fc.constant('text'), text }),
  fc.record({ type: fc.constant('thinking'), thinking: text, signature: name }),
  fc.record({ type: fc.constant('tool_use'), id: name, name, input: object }),
  fc.record({ type: fc.constant('tool_result'), tool_use_id: name, content: fc.oneof(text, textParts('text')) }),
)
const anthropic = fc.record({
  messages: fc
    .tuple(
      fc.record({ role: fc.constant('user'), content: text }),
      fc.array(fc.record({ role: fc.constantFrom('user', 'assistant'), content: fc.array(block, { maxLength: 4 }) }), {
        maxLength: 5,
      }),
    )
    .map(([first, rest]) => [first, ...rest] as JsonValue[]),
  shaping: fc.record(
    {
      system: fc.oneof(text, textParts('text')),
      tools: some(fc.record({ name, description: text, input_schema: object })),
    },
    { requiredKeys: [] },
  ),
})

const item = fc.oneof(
  fc.record({
    type: fc.constant('message'),
    role: fc.constantFrom('user', 'developer'),
    content: fc.oneof(text, textParts('input_text')),
  }),
  fc.record({ type: fc.constant('message'), role: fc.constant('assistant'), content: textParts('output_text') }),
  fc.record({ type: fc.constant('function_call'), call_id: name, name, arguments: args }),
  fc.record({
    type: fc.constant('function_call_output'),
    call_id: name,
    output: fc.oneof(text, textParts('input_text')),
  }),
)
const responses = fc.record({
  messages: fc
    .tuple(fc.record({ role: fc.constant('user'), content: text }), fc.array(item, { maxLength: 6 }))
    .map(([first, rest]) => [first, ...rest] as JsonValue[]),
  shaping: fc.record(
    {
      instructions: text,
      tools: some(fc.record({ type: fc.constant('function'), name, description: text, parameters: object })),
    },
    { requiredKeys: [] },
  ),
})

describe('the upper bound', () => {
  it.each<[Prompt['dialect'], fc.Arbitrary<unknown>]>([
    ['chat', chat],
    ['messages', anthropic],
    ['responses', responses],
  ])('is never below the count of a prompt of %s, whatever it holds', async (dialect, prompts) => {
    await fc.assert(
      fc.asyncProperty(prompts as fc.Arbitrary<Pick<Prompt, 'messages' | 'shaping'>>, async (asked) => {
        const exact = await engine.countTokens({ dialect, model: sim.model, ...asked }, OPTIONS)

        expect(upperTokens(asked) + PREAMBLE_TOKENS).toBeGreaterThanOrEqual(exact ?? Number.POSITIVE_INFINITY)
      }),
      { numRuns: RUNS },
    )
  })

  // The template has none of its own here, so there is nothing to hide behind.
  it('is not below the count of a message alone', async () => {
    await fc.assert(
      fc.asyncProperty(chat, async (asked) => {
        const bare = await engine.countTokens({ dialect: 'chat', model: sim.model, ...asked, shaping: {} }, OPTIONS)
        const preamble = encodeText(`system\n${PREAMBLE}`).length + 3

        expect(upperTokens({ ...asked, shaping: {} }) + preamble).toBeGreaterThanOrEqual(
          bare ?? Number.POSITIVE_INFINITY,
        )
      }),
      { numRuns: RUNS },
    )
  })

  it('of a text is not below its count', () => {
    fc.assert(fc.property(text, (given) => upperTokensOfText(given) >= encodeText(given).length))
  })
})
