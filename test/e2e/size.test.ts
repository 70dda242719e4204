// The upper bound that is known before a tokenizer has counted a prompt, against the simulator's own count: its template and cl100k, over
// HTTP.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../../src/base/json.ts'
import { createMetrics } from '../../src/base/metrics.ts'
import type { Prompt } from '../../src/base/records.ts'
import type { NearLimit } from '../../src/base/tenants.ts'
import { chatRules } from '../../src/dialects/chat.ts'
import { Upstream } from '../../src/engines/upstream.ts'
import { VllmPrompts } from '../../src/engines/vllm/prompts.ts'
import { chainOf } from '../../src/identity/chain.ts'
import { UNSCALED } from '../../src/limits/typical.ts'
import { upperTokens, upperTokensOfText } from '../../src/limits/upper-bound.ts'
import { BlockScales } from '../../src/near-limit/block-scales.ts'
import { KnownSizes } from '../../src/near-limit/known-sizes.ts'
import { shapeOf } from '../../src/near-limit/measure.ts'
import { outgoingOf } from '../../src/near-limit/outgoing.ts'
import { type FitRequest, fitTurn, type OverflowParts } from '../../src/near-limit/overflow.ts'
import { type Sim, startSim } from '../../src/sim/index.ts'
import { decodeIds, encodeText, IM_START } from '../../src/sim/tokenizer.ts'
import type { BaseWindow } from '../../src/windows/base-windows.ts'
import { findFrozenIds } from '../../src/windows/frozen-ids.ts'
import { SAMPLES } from '../support/languages.ts'

const PREAMBLE = 'Today is the second of March. You answer briefly, and you call tools where that helps.'
const RUNS = 150
const OPTIONS = { apiKey: undefined }

let sim: Sim
let upstream: Upstream
let engine: VllmPrompts

beforeAll(async () => {
  sim = await startSim({ scaleOut: true, preamble: PREAMBLE, maxModelLen: 1_000_000, lmcache: false })
  const patience = { connectTimeoutMs: 1_000, headersTimeoutMs: 10_000, bodyTimeoutMs: 10_000 }
  upstream = new Upstream({ url: sim.engineUrl, connections: 2, ...patience })
  engine = new VllmPrompts(upstream)
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

/** A list that is never empty, because engines reject an empty conversation. */
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

const countOf = async (prompt: Prompt) => (await engine.countTokens(prompt, OPTIONS)) ?? Number.POSITIVE_INFINITY

/** The count of a tokenizer without merges: a token per byte, and one per mark of the template. */
const bytesOf = (ids: readonly number[]) =>
  Buffer.byteLength(decodeIds(ids.filter((id) => id < IM_START))) + ids.filter((id) => id >= IM_START).length
/** What the simulator's template adds, in such tokens. The bound has no more slack than that. */
const OWN_PREAMBLE = Buffer.byteLength(`system\n${PREAMBLE}\n`) + 2

describe('the upper bound', () => {
  it.each<[Prompt['dialect'], fc.Arbitrary<unknown>]>([
    ['chat', chat],
    ['messages', anthropic],
    ['responses', responses],
  ])('is never below the size of a prompt of %s, whatever its content, in bytes', async (dialect, prompts) => {
    await fc.assert(
      fc.asyncProperty(prompts as fc.Arbitrary<Pick<Prompt, 'messages' | 'shaping'>>, async (asked) => {
        const ids = await engine.tokenIds({ dialect, model: sim.model, ...asked }, OPTIONS)

        expect(ids).toBeDefined()
        expect(upperTokens(asked) + OWN_PREAMBLE).toBeGreaterThanOrEqual(bytesOf([...(ids ?? [])]))
      }),
      { numRuns: RUNS },
    )
  })

  it('of a text is not below its count', () => {
    fc.assert(fc.property(text, (given) => upperTokensOfText(given) >= encodeText(given).length))
  })
})

describe('a turn that exceeds the limit', () => {
  /** Its prompt has as many tokens as the limit, and it requests one more. */
  const holdTo = (
    limit: number,
    turn: Pick<FitRequest, 'outgoing' | 'json' | 'chain' | 'windowTokens'>,
    sizes: KnownSizes,
  ) => {
    const metrics = createMetrics()
    const parts: OverflowParts = {
      sizes,
      scales: { of: () => Promise.resolve(UNSCALED) },
      blocks: new BlockScales(Date.now),
      metrics,
    }
    const fixed = {
      policy: 'reject',
      nearLimit: {} as NearLimit,
      rules: chatRules,
      engine,
      window: undefined,
      call: OPTIONS,
    } as const
    return fitTurn(parts, { ...fixed, ...turn, limit })
  }
  const bodyOf = (messages: readonly JsonValue[], shaping: JsonObject): JsonObject => ({
    model: sim.model,
    messages,
    ...shaping,
    max_tokens: 1,
  })
  const reply = fc.oneof(
    fc.record({ role: fc.constant('assistant'), content: text, reasoning: text }),
    fc.record({ role: fc.constant('assistant'), content: fc.constant('Yes.') }),
  )
  /** Too long for other slack to hide it, if it were not counted. */
  const long = fc.record({
    role: fc.constant('user'),
    content: fc.array(text, { minLength: 10, maxLength: 20 }).map((texts) => texts.join(' ')),
  })
  const conversation = fc.record({ before: chat, reply, own: some(fc.oneof(chatMessage, long)) })

  it("is rejected if its history is known from the last turn's size, and fits with one token more", async () => {
    await fc.assert(
      fc.asyncProperty(conversation, async ({ before: { messages, shaping }, reply: answer, own }) => {
        const prompt = { dialect: 'chat', model: sim.model, shaping } as const
        const sizes = new KnownSizes(1024 * 1024)
        const turnOf = (all: readonly JsonValue[]) => {
          const json = bodyOf(all, shaping)
          const chain = chainOf('scope', all, (message) => chatRules.canonical(message))
          return { json, chain, outgoing: outgoingOf(json, chatRules, undefined, undefined), windowTokens: 0 }
        }
        const first = turnOf(messages)
        const boundary = first.chain.boundary([answer])?.digest
        const tokens = (await countOf({ ...prompt, messages })) + upperTokens({ messages: [answer], shaping: {} })
        sizes.record(boundary === undefined ? [] : [boundary], { tokens, shape: shapeOf(first.outgoing, undefined) })
        const all = [...messages, answer, ...own]
        const exact = await countOf({ ...prompt, messages: all })

        await expect(holdTo(exact, turnOf(all), sizes)).rejects.toMatchObject({ code: 'CONTEXT_LENGTH_EXCEEDED' })
        await expect(holdTo(exact + 1, turnOf(all), sizes)).resolves.toBeDefined()
      }),
      { numRuns: RUNS },
    )
  })

  it('is rejected if a window with known ids precedes it, and fits with one token more', async () => {
    let known = 0
    await fc.assert(
      fc.asyncProperty(conversation, async ({ before: { messages, shaping }, reply: answer, own }) => {
        const prompt: Prompt = { dialect: 'chat', model: sim.model, messages: [...messages, answer], shaping }
        const turn = { prompt, replyAt: messages.length, promptTokens: undefined }
        const { ids, whole } = await findFrozenIds(engine, chatRules, turn, OPTIONS)
        const base = { record: { id: 'w' }, prompt } as BaseWindow
        const json = bodyOf(own, shaping)
        const outgoing = outgoingOf(json, chatRules, base, { kind: 'behind', skip: 0, repeats: false })
        const exact = await countOf({ ...prompt, messages: outgoing.messages })
        const behind = { json, outgoing, chain: undefined, windowTokens: whole === true ? ids.length : 0 }
        if (behind.windowTokens > 0) known++

        const sizes = new KnownSizes(1024)
        await expect(holdTo(exact, behind, sizes)).rejects.toMatchObject({ code: 'CONTEXT_LENGTH_EXCEEDED' })
        await expect(holdTo(exact + 1, behind, sizes)).resolves.toBeDefined()
      }),
      { numRuns: RUNS },
    )
    expect(known).toBeGreaterThan(RUNS / 2)
  })
})
