// What answers hold and what identifies a message, on recorded answers and on random messages.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { decodeJsonEvents } from '../sse/decode.ts'
import { errorBody, errorEvent } from './errors.ts'
import { rulesOf } from './index.ts'

interface Answers {
  readonly answers: readonly { readonly name: string; readonly response: { readonly body: unknown } }[]
}

const file = new URL('../../test/recorded/vllm.json', import.meta.url)
const { answers } = JSON.parse(readFileSync(file, 'utf8')) as Answers

function body(name: string): unknown {
  const found = answers.find((answer) => answer.name === name)
  if (found === undefined) throw new Error(`no answer '${name}'`)
  return found.response.body
}

const fromJson = (dialect: Dialect, name: string) => rulesOf(dialect).observeJson(body(name) as JsonObject)
const eventsOf = (name: string) => decodeJsonEvents(Buffer.from(String(body(name))))
const fromStream = (dialect: Dialect, name: string) => rulesOf(dialect).observeEvents(eventsOf(name))

const canonical = (dialect: Dialect, message: JsonValue) => rulesOf(dialect).canonical(message).text

/** Ids of calls are random for each answer. */
const sameIds = (value: unknown) =>
  JSON.parse(JSON.stringify(value).replace(/chatcmpl-tool-[0-9a-f]+/g, 'call')) as unknown

describe('usage', () => {
  it.each([
    ['chat', 'chat', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
    ['completions', 'completions', { promptTokens: 3, completionTokens: 2, totalTokens: 5, cachedTokens: 0 }],
    ['messages', 'anthropic messages', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
    [
      'messages',
      'anthropic messages, long, cached',
      { promptTokens: 982, completionTokens: 3, totalTokens: 985, cachedTokens: 896 },
    ],
    ['responses', 'responses', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
  ] as const)('%s: is read from "%s"', (dialect, name, usage) => {
    expect(fromJson(dialect, name).usage).toEqual(usage)
  })

  it.each([
    ['chat', 'chat, stream with usage', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
    [
      'chat',
      'chat, stream with continuous usage',
      { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 },
    ],
    ['chat', 'chat, stream without usage', undefined],
    [
      'completions',
      'completions, stream n=2 with usage',
      { promptTokens: 3, completionTokens: 6, totalTokens: 9, cachedTokens: 0 },
    ],
    [
      'messages',
      'anthropic messages, stream, long, cached',
      { promptTokens: 982, completionTokens: 3, totalTokens: 985, cachedTokens: 896 },
    ],
    ['responses', 'responses, stream', { promptTokens: 11, completionTokens: 3, totalTokens: 14, cachedTokens: 0 }],
  ] as const)('%s: is read from the stream "%s"', (dialect, name, usage) => {
    expect(fromStream(dialect, name).usage).toEqual(usage)
  })

  it('takes 0 for a count, and nothing else for one', () => {
    const read = (usage: JsonValue) => rulesOf('chat').observeJson({ usage }).usage

    expect(read({ prompt_tokens: 0 })).toEqual({ promptTokens: 0, completionTokens: 0, totalTokens: 0 })
    for (const wrong of [-1, 1.5, '3', null, 1e300, true]) expect(read({ prompt_tokens: wrong })).toBeUndefined()
    expect(read({ prompt_tokens: 1, prompt_tokens_details: { cached_tokens: null } })).not.toHaveProperty(
      'cachedTokens',
    )
  })

  it("adds Anthropic's three parts of the prompt, wherever in the stream each was told", () => {
    const read = (start: JsonObject, delta: JsonObject) =>
      rulesOf('messages').observeEvents([
        { type: 'message_start', message: { usage: start } },
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: delta },
        { type: 'message_stop' },
      ]).usage
    const whole = { promptTokens: 100, completionTokens: 7, totalTokens: 107, cachedTokens: 60 }
    const start = { input_tokens: 10, cache_read_input_tokens: 60, cache_creation_input_tokens: 30, output_tokens: 1 }

    expect(read(start, { output_tokens: 7 })).toEqual(whole)
    expect(read(start, { input_tokens: 10, output_tokens: 7 })).toEqual(whole)
    expect(read(start, { input_tokens: 10, cache_read_input_tokens: null, output_tokens: 7 })).toEqual(whole)
    expect(read({ input_tokens: 100, output_tokens: 0 }, { ...start, output_tokens: 7 })).toEqual(whole)
  })
})

describe('the reply', () => {
  it.each([
    ['chat', 'chat', 'chat, stream with usage'],
    ['chat', 'chat', 'chat, "stream": "true" streams'],
    ['chat', 'chat, n=2', 'chat, stream n=2 without usage'],
    ['chat', 'chat, tool called', 'chat, tool called, stream without usage'],
    ['chat', 'chat, tool_choice names one', 'chat, tool_choice names one, stream without usage'],
    ['messages', 'anthropic messages', 'anthropic messages, stream'],
    ['messages', 'anthropic messages, long, cached', 'anthropic messages, stream, long, cached'],
    ['responses', 'responses', 'responses, stream'],
    ['responses', 'responses, tool called', 'responses, stream, tool called'],
  ] as const)('%s: "%s" is the same as the stream "%s"', (dialect, json, stream) => {
    const texts = (choices: ReturnType<typeof fromJson>['choices']) =>
      choices.map(({ messages, finishReason }) => ({
        texts: messages.map((message) => canonical(dialect, sameIds(message) as JsonValue)),
        finishReason,
      }))
    const whole = fromJson(dialect, json)
    const streamed = fromStream(dialect, stream)

    expect(texts(streamed.choices)).toEqual(texts(whole.choices))
    expect([whole.complete, streamed.complete]).toEqual([true, true])
  })

  it('of a tool called in a stream has its name, id and arguments', () => {
    expect(sameIds(fromStream('chat', 'chat, tool called, stream with usage').choices)).toEqual([
      {
        finishReason: 'tool_calls',
        messages: [
          {
            role: 'assistant',
            content: '',
            tool_calls: [
              { id: 'call', type: 'function', function: { name: 'weather', arguments: '{"city": "Rome"}' } },
            ],
          },
        ],
      },
    ])
  })

  it('keeps the id of a call when later deltas send it empty', () => {
    const call = (id: string, args: string) => ({
      choices: [
        { index: 0, delta: { tool_calls: [{ index: 0, id, function: { arguments: args } }] }, finish_reason: null },
      ],
    })

    const { choices } = rulesOf('chat').observeEvents([call('c1', '{'), call('', '}')])

    expect(choices[0]?.messages[0]).toMatchObject({ tool_calls: [{ id: 'c1', function: { arguments: '{}' } }] })
  })
})

describe('a stream that breaks', () => {
  const cases: [Dialect, string][] = [
    ['chat', 'chat, stream with usage'],
    ['chat', 'chat, stream n=2 with usage'],
    ['chat', 'chat, tool called, stream with usage'],
    ['completions', 'completions, stream with usage'],
    ['completions', 'completions, stream n=2 with usage'],
    ['messages', 'anthropic messages, stream'],
    ['messages', 'anthropic messages, stream, tool used'],
    ['responses', 'responses, stream'],
    ['responses', 'responses, stream, tool called'],
  ]

  it.each(cases)('%s: "%s" is complete when whole, and after no fewer events than it takes', (dialect, name) => {
    const events = eventsOf(name)
    const completeAt = events.map((_, count) => rulesOf(dialect).observeEvents(events.slice(0, count)).complete)
    // Chat tells its end by finish reasons, and the usage event comes behind them.
    const tail = dialect === 'chat' || dialect === 'completions' ? 1 : 0

    expect(rulesOf(dialect).observeEvents(events).complete).toBe(true)
    expect(completeAt.lastIndexOf(false)).toBe(events.length - 1 - tail)
  })

  it.each(cases)('%s: "%s" is not complete with an error event in it', (dialect, name) => {
    const events = eventsOf(name)
    const error = dialect === 'messages' ? { type: 'error', error: {} } : { error: { message: 'x', code: 500 } }
    if (dialect === 'responses') return

    for (let at = 0; at <= events.length; at++) {
      const broken = [...events.slice(0, at), error, ...events.slice(at)]
      expect(rulesOf(dialect).observeEvents(broken).complete).toBe(false)
    }
  })

  it('is not complete when nothing came, in any dialect', () => {
    for (const dialect of ['chat', 'completions', 'messages', 'responses'] as const) {
      expect(rulesOf(dialect).observeEvents([]).complete).toBe(false)
      expect(rulesOf(dialect).observeJson({}).complete).toBe(false)
      expect(rulesOf(dialect).observeJson({ error: { message: 'x' } }).complete).toBe(false)
    }
  })

  it('survives events of any shape', () => {
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
        for (const dialect of ['chat', 'completions', 'messages', 'responses'] as const) {
          const { choices } = rulesOf(dialect).observeEvents(events as JsonObject[])
          for (const { messages } of choices) for (const message of messages) canonical(dialect, message)
        }
      }),
      { numRuns: 500, seed: 1 },
    )
  })

  it('survives a tool input that is nested deeper than any stack', () => {
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

describe('the identity of a message', () => {
  const same: [string, Dialect, JsonValue, JsonValue][] = [
    [
      'text and a list of one text part',
      'chat',
      { role: 'user', content: 'hi' },
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
    ],
    [
      'no content and null',
      'chat',
      { role: 'assistant', tool_calls: [] },
      { role: 'assistant', content: null, tool_calls: [] },
    ],
    [
      'a refusal and its words',
      'chat',
      { role: 'assistant', content: null, refusal: 'no' },
      { role: 'assistant', content: 'no' },
    ],
    [
      "a refusal and its words, in an item's parts",
      'responses',
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
      { role: 'assistant', content: [{ type: 'output_text', text: 'no' }] },
    ],
    ['no content and empty text', 'chat', { role: 'assistant', content: '' }, { role: 'assistant', content: null }],
    [
      'an echo with nulls and one without',
      'chat',
      {
        role: 'assistant',
        content: 'x',
        refusal: null,
        annotations: [],
        audio: null,
        function_call: null,
        reasoning: 'r',
      },
      { role: 'assistant', content: 'x' },
    ],
    [
      'arguments written anew',
      'chat',
      {
        role: 'assistant',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"b": 1.0, "a": [1, 2]}' } }],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ index: 0, id: 'c', function: { arguments: '{"a":[1,2],"b":1}', name: 'f' } }],
      },
    ],
    [
      'no arguments and an empty object',
      'chat',
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '' } }] },
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
    ],
    [
      'a moving cache_control',
      'chat',
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'u' }, cache_control: { type: 'ephemeral' } }] },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'u', detail: null } }] },
    ],
    [
      "Claude Code's changing line in a system prompt",
      'chat',
      { role: 'system', content: 'x-anthropic-billing-header: cch=1\nbe good' },
      { role: 'system', content: [{ type: 'text', text: 'x-anthropic-billing-header: cch=2\nbe good' }] },
    ],
    [
      'blocks with citations and cache_control',
      'messages',
      { role: 'assistant', content: [{ type: 'text', text: 'x', citations: null }] },
      { role: 'assistant', content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] },
    ],
    [
      'text and a list of one text block',
      'messages',
      { role: 'user', content: 'hi' },
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
    ],
    [
      'thinking and none',
      'messages',
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 't', signature: 's' },
          { type: 'text', text: 'x' },
        ],
      },
      { role: 'assistant', content: [{ type: 'text', text: 'x' }] },
    ],
    [
      'a tool result as text and as a list',
      'messages',
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: 'ok' }] },
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'c',
            is_error: false,
            content: [{ type: 'text', text: 'ok' }],
            cache_control: { type: 'ephemeral' },
          },
        ],
      },
    ],
    [
      'an image in a tool result, with a moving cache_control',
      'messages',
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'c',
            content: [{ type: 'image', source: { data: 'd' }, cache_control: {} }],
          },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'c', content: [{ type: 'image', source: { data: 'd' } }] }],
      },
    ],
    [
      "Claude Code's changing system block",
      'messages',
      {
        role: 'system',
        content: [
          { type: 'text', text: 'x-anthropic-billing-header: 1' },
          { type: 'text', text: 'be good' },
        ],
      },
      {
        role: 'system',
        content: [
          { type: 'text', text: 'x-anthropic-billing-header: 2' },
          { type: 'text', text: 'be good' },
        ],
      },
    ],
    [
      'an output item and its echo',
      'responses',
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
      'responses',
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
      'responses',
      { role: 'user', content: 'hi' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
    ],
  ]

  it.each(same)('does not tell apart: %s', (_, dialect, a, b) => {
    expect(canonical(dialect, a)).toBe(canonical(dialect, b))
  })

  const different: [string, Dialect, JsonValue, JsonValue][] = [
    ['two roles', 'chat', { role: 'user', content: 'x' }, { role: 'system', content: 'x' }],
    [
      'one part and two',
      'chat',
      { role: 'user', content: [{ type: 'text', text: 'ab' }] },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
    ],
    ['refusals', 'chat', { role: 'assistant', refusal: 'x' }, { role: 'assistant', refusal: 'y' }],
    [
      'text that looks like a frame',
      'chat',
      { role: 'user', content: 'at1:b' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
    ],
    [
      'two tool call ids',
      'chat',
      { role: 'tool', tool_call_id: 'a', content: 'x' },
      { role: 'tool', tool_call_id: 'b', content: 'x' },
    ],
    [
      'two images',
      'chat',
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'a' } }] },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'b' } }] },
    ],
    [
      'an argument that is null and one that is not there',
      'chat',
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{"a":null}' } }] },
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
    ],
    [
      'a null in a list',
      'chat',
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '[null]' } }] },
      { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '[]' } }] },
    ],
    [
      'a user who quotes a billing header',
      'chat',
      { role: 'user', content: 'x-anthropic-billing-header 1\nx' },
      { role: 'user', content: 'x-anthropic-billing-header 2\nx' },
    ],
    [
      'a user who quotes a billing header, in blocks',
      'messages',
      { role: 'user', content: [{ type: 'text', text: 'x-anthropic-billing-header 1' }] },
      { role: 'user', content: [{ type: 'text', text: 'x-anthropic-billing-header 2' }] },
    ],
    [
      'a tool input that is null and one that is not there',
      'messages',
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: { a: null } }] },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: {} }] },
    ],
    [
      'a tool that failed and one that did not',
      'messages',
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: 'x', is_error: true }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: 'x' }] },
    ],
    [
      'a call and its result',
      'responses',
      { type: 'function_call', call_id: 'c', name: '', arguments: '' },
      { type: 'function_call_output', call_id: 'c', output: '' },
    ],
    ['two references', 'responses', { type: 'item_reference', id: 'msg_1' }, { type: 'item_reference', id: 'msg_2' }],
  ]

  it.each(different)('tells apart: %s', (_, dialect, a, b) => {
    expect(canonical(dialect, a)).not.toBe(canonical(dialect, b))
  })

  it('leaves reasoning items of responses out of every history', () => {
    expect(rulesOf('responses').canonical({ type: 'reasoning', id: 'r', summary: [] })).toEqual({
      text: undefined,
      fromModel: true,
    })
  })

  // Messages in one agreed spelling: two of them have the same text only if they are the same.
  it.each(['chat', 'messages', 'responses'] as const)('%s: no two different messages look alike', (dialect) => {
    const word = fc.oneof(
      fc.string({
        unit: fc.constantFrom('a', '1', ':', 't', 'r', '"', '\ud83d', '\ude00', '\\'),
        minLength: 1,
        maxLength: 6,
      }),
      fc.constantFrom('t1:a', 'r4:user', 'c0:', '[DONE]', '{}'),
    )
    const json = fc.dictionary(word, fc.oneof(word, fc.integer(), fc.boolean(), fc.array(word, { maxLength: 2 })), {
      maxKeys: 2,
    })
    const message: fc.Arbitrary<JsonValue> =
      dialect === 'chat'
        ? fc.record(
            {
              role: fc.constantFrom('user', 'assistant', 'tool'),
              content: fc.array(fc.record({ type: fc.constant('text'), text: word }), { maxLength: 3 }),
              name: word,
              tool_call_id: word,
              tool_calls: fc.array(
                fc.record({
                  id: word,
                  function: fc.record({
                    name: word,
                    arguments: json.map((value) => JSON.stringify(value, Object.keys(value).sort())),
                  }),
                }),
                { maxLength: 2 },
              ),
            },
            { requiredKeys: ['role', 'content', 'tool_calls'] },
          )
        : dialect === 'messages'
          ? fc.record({
              role: fc.constantFrom('user', 'assistant'),
              content: fc.array(
                fc.oneof(
                  fc.record({ type: fc.constant('text'), text: word }),
                  fc.record({ type: fc.constant('tool_use'), id: word, name: word, input: json }),
                  fc.record({
                    type: fc.constant('tool_result'),
                    tool_use_id: word,
                    content: fc.array(fc.record({ type: fc.constant('text'), text: word }), { maxLength: 2 }),
                  }),
                  fc.record({ type: fc.constant('image'), source: json }),
                ),
                { maxLength: 3 },
              ),
            })
          : fc.oneof(
              fc.record({
                type: fc.constant('message'),
                role: word,
                content: fc.array(fc.record({ type: fc.constant('input_text'), text: word }), { maxLength: 3 }),
              }),
              fc.record({
                type: fc.constant('function_call'),
                call_id: word,
                name: word,
                arguments: json.map((value) => JSON.stringify(value, Object.keys(value).sort())),
              }),
              fc.record({
                type: fc.constant('function_call_output'),
                call_id: word,
                output: fc.array(fc.record({ type: fc.constant('input_text'), text: word }), { maxLength: 2 }),
              }),
            )
    const seen = new Map<string, string>()
    const spelling = (value: JsonValue): string =>
      JSON.stringify(value, (_, inner: unknown) =>
        typeof inner === 'object' && inner !== null && !Array.isArray(inner)
          ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
          : inner,
      )

    for (const sample of fc.sample(message, { numRuns: 2500, seed: 7 })) {
      const text = canonical(dialect, sample) ?? ''
      const known = seen.get(text)
      if (known !== undefined) expect(known).toBe(spelling(sample))
      seen.set(text, spelling(sample))
    }
    expect(seen.size).toBeGreaterThan(1000)
  })
})

describe('requests', () => {
  it.each([
    ['chat', {}],
    ['chat', { messages: 'hi' }],
    ['messages', { messages: { 0: 'x' } }],
    ['responses', { input: 5 }],
    ['responses', {}],
  ] as const)('%s: refuses %j, which holds no messages', (dialect, json) => {
    expect(() => rulesOf(dialect).readMessages(json)).toThrow(CwmError)
  })

  it('reads a plain input as one user message', () => {
    expect(rulesOf('responses').readMessages({ input: 'hi' })).toEqual([{ role: 'user', content: 'hi' }])
  })

  it('finds the system prompt that stands outside the messages', () => {
    expect(rulesOf('messages').outerSystem({ system: 'be good' })).toEqual({ role: 'system', content: 'be good' })
    expect(rulesOf('messages').outerSystem({ system: null })).toBeUndefined()
    expect(rulesOf('responses').outerSystem({ instructions: 'be good' })).toEqual({
      role: 'system',
      content: 'be good',
    })
    expect(rulesOf('responses').outerSystem({})).toBeUndefined()
  })

  it('probes with the results of open tool calls, since nothing else can follow them', () => {
    const call = { role: 'assistant', tool_calls: [{ id: 'a' }, { id: 'b' }] }
    const use = {
      role: 'assistant',
      content: [
        { type: 'text', text: 'x' },
        { type: 'tool_use', id: 'a', name: 'f', input: {} },
      ],
    }

    expect(rulesOf('chat').probe('p', call)).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'p' },
      { role: 'tool', tool_call_id: 'b', content: 'p' },
    ])
    expect(rulesOf('messages').probe('p', use)).toEqual([
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'p' }] },
    ])
    expect(rulesOf('responses').probe('p', { type: 'function_call', call_id: 'a' })).toEqual([
      { type: 'function_call_output', call_id: 'a', output: 'p' },
    ])
    for (const dialect of ['chat', 'messages', 'responses'] as const) {
      expect(rulesOf(dialect).probe('p', undefined)).toEqual([{ role: 'user', content: 'p' }])
    }
  })
})

describe('errors', () => {
  const error = new CwmError('INVALID_FIELD', 'must be "text"\n', { param: 'model' })

  it('are worded as OpenAI words them', () => {
    expect(JSON.parse(errorBody('chat', error, 'r1'))).toEqual({
      error: { message: 'must be "text"\n', type: 'invalid_request_error', param: 'model', code: 'invalid_field' },
    })
  })

  it('are worded as Anthropic words them, with the field in the message', () => {
    expect(JSON.parse(errorBody('messages', error, 'r1'))).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'model: must be "text"\n', code: 'invalid_field' },
      request_id: 'r1',
    })
  })

  it.each(['chat', 'completions', 'messages', 'responses'] as const)('%s: are one event in a stream', (dialect) => {
    const text = errorEvent(dialect, error)

    expect(text.endsWith('\n\n')).toBe(true)
    expect(text.slice(0, -2)).not.toContain('\n\n')
    expect(rulesOf(dialect).observeEvents(decodeJsonEvents(Buffer.from(text))).complete).toBe(false)
  })
})
