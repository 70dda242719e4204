// The chain, on recorded replies and on echoes produced by the SDKs themselves.

import { readFileSync } from 'node:fs'
import Anthropic from '@anthropic-ai/sdk'
import fc from 'fast-check'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { decodeJsonEvents } from '../sse/decode.ts'
import { type Chain, chainOf } from './chain.ts'

interface Answers {
  readonly answers: readonly { readonly name: string; readonly response: { readonly body: unknown } }[]
}

const file = new URL('../../test/recorded/vllm.json', import.meta.url)
const { answers } = JSON.parse(readFileSync(file, 'utf8')) as Answers

function recorded(name: string): string {
  const found = answers.find((answer) => answer.name === name)?.response.body
  if (found === undefined) throw new Error(`no answer '${name}'`)
  // A random model's tool input is a bare number, which Anthropic's SDK refuses to read.
  if (typeof found === 'string')
    return found.replace('"partial_json":"24"', '"partial_json":"{\\"city\\": \\"Rome\\"}"')
  return JSON.stringify(found)
}

function chain(dialect: Dialect, messages: readonly unknown[], scope = 'scope'): Chain {
  return chainOf(scope, messages as JsonValue[], (message) => rulesOf(dialect).canonical(message))
}

/** The boundary that cwm stores after delivering this recorded answer to `request`. */
function boundaryAfter(dialect: Dialect, request: readonly unknown[], name: string): string | undefined {
  const text = recorded(name)
  const rules = rulesOf(dialect)
  const observation = text.startsWith('{')
    ? rules.observeJson(JSON.parse(text) as JsonObject)
    : rules.observeEvents(decodeJsonEvents(Buffer.from(text)))
  expect(observation.complete).toBe(true)
  return chain(dialect, request).boundary(observation.choices[0]?.messages ?? [])?.digest
}

/** What an SDK would send: the JSON form of its objects. */
const sent = (value: unknown) => JSON.parse(JSON.stringify(value)) as JsonValue

/** A `fetch` that always returns this recording. */
function answering(name: string) {
  const text = recorded(name)
  const type = text.startsWith('{') ? 'application/json' : 'text/event-stream'
  return () => Promise.resolve(new Response(text, { headers: { 'content-type': type } }))
}

const openai = (name: string) =>
  new OpenAI({ apiKey: 'k', baseURL: 'http://x/v1', fetch: answering(name), maxRetries: 0 })
const anthropic = (name: string) =>
  new Anthropic({ apiKey: 'k', baseURL: 'http://x', fetch: answering(name), maxRetries: 0 })

describe('a delivered reply is found again in what comes back from', () => {
  const user = { role: 'user', content: 'hi' } as const
  const next = { role: 'user', content: 'and then?' } as const

  it.each(['chat', 'chat, tool called', 'chat, tool_choice names one'])('OpenAI for Node, "%s"', async (name) => {
    const completion = await openai(name).chat.completions.create({ model: 'm', messages: [user] })
    const message = sent(completion.choices[0]?.message)

    expect(chain('chat', [user, message, next]).candidates[0]?.digest).toBe(boundaryAfter('chat', [user], name))
  })

  it.each([
    'chat, stream with usage',
    'chat, stream without usage',
    'chat, tool called, stream with usage',
    'chat, tool_choice names one, stream without usage',
  ])('the stream helper of OpenAI for Node, "%s"', async (name) => {
    const stream = openai(name).chat.completions.stream({ model: 'm', messages: [user] })
    const message = sent((await stream.finalChatCompletion()).choices[0]?.message)

    expect(chain('chat', [user, message, next]).candidates[0]?.digest).toBe(boundaryAfter('chat', [user], name))
  })

  it.each(['responses', 'responses, tool called'])('Responses of OpenAI for Node, "%s"', async (name) => {
    const response = await openai(name).responses.create({ model: 'm', input: 'hi' })
    const items = sent(response.output) as JsonValue[]

    expect(chain('responses', [user, ...items, next]).candidates[0]?.digest).toBe(
      boundaryAfter('responses', rulesOf('responses').readMessages({ input: 'hi' }), name),
    )
  })

  it.each(['responses, stream', 'responses, stream, tool called'])('Responses streamed, "%s"', async (name) => {
    const stream = await openai(name).responses.create({ model: 'm', input: 'hi', stream: true })
    let items: JsonValue[] = []
    for await (const event of stream) {
      if (event.type === 'response.completed' || event.type === 'response.incomplete') {
        items = sent(event.response.output) as JsonValue[]
      }
    }

    expect(items).toHaveLength(1)
    expect(chain('responses', [user, ...items, next]).candidates[0]?.digest).toBe(
      boundaryAfter('responses', [user], name),
    )
  })

  it.each(['anthropic messages', 'anthropic messages, long, cached'])('Anthropic for Node, "%s"', async (name) => {
    const { role, content } = await anthropic(name).messages.create({ model: 'm', max_tokens: 3, messages: [user] })

    expect(chain('messages', [user, sent({ role, content }), next]).candidates[0]?.digest).toBe(
      boundaryAfter('messages', [user], name),
    )
  })

  it.each(['anthropic messages, stream', 'anthropic messages, stream, tool used'])(
    'the stream helper of Anthropic for Node, "%s"',
    async (name) => {
      const stream = anthropic(name).messages.stream({ model: 'm', max_tokens: 3, messages: [user] })
      const { role, content } = await stream.finalMessage()

      expect(chain('messages', [user, sent({ role, content }), next]).candidates[0]?.digest).toBe(
        boundaryAfter('messages', [user], name),
      )
    },
  )

  it.each([
    ['nulls left out', { role: 'assistant', content: '101010' }],
    ['a list of one part', { role: 'assistant', content: [{ type: 'text', text: '101010' }] }],
    [
      'nulls and unknown fields',
      {
        role: 'assistant',
        content: '101010',
        refusal: null,
        tool_calls: null,
        audio: null,
        reasoning_content: 'r',
        x: 1,
      },
    ],
    ['empty lists', { content: '101010', tool_calls: [], annotations: [], role: 'assistant' }],
  ])('an echo with %s', (_, echo) => {
    expect(chain('chat', [user, echo, next]).candidates[0]?.digest).toBe(boundaryAfter('chat', [user], 'chat'))
  })
})

describe('candidates', () => {
  const user = (content: string) => ({ role: 'user', content })
  const assistant = (content: string) => ({ role: 'assistant', content })
  const places = (messages: readonly unknown[], dialect: Dialect = 'chat') =>
    chain(dialect, messages).candidates.map((candidate) => candidate.messages)

  it('are none on a first turn', () => {
    expect(places([])).toEqual([])
    expect(places([{ role: 'system', content: 's' }, user('a')])).toEqual([])
  })

  it('follow each reply, newest first', () => {
    expect(places([user('a'), assistant('1'), user('b'), assistant('2'), user('c')])).toEqual([4, 2])
  })

  it('follow each of several consecutive model messages, and a final one', () => {
    expect(places([user('a'), assistant('1'), assistant('2'), user('b'), assistant('3')])).toEqual([5, 3, 2])
  })

  it('are the first eight, the eight before the last, and the last of forty consecutive model messages', () => {
    const row = Array.from({ length: 40 }, (_, i) => assistant(`${i}`))

    expect(places([user('a'), ...row, user('b')])).toEqual([41, 40, 39, 38, 37, 36, 35, 34, 33, 9, 8, 7, 6, 5, 4, 3, 2])
  })

  it('follow a tool call, not its result', () => {
    const call = { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] }
    const result = { role: 'tool', tool_call_id: 'c', content: '4' }

    expect(places([user('a'), call, result])).toEqual([2])
    expect(places([user('a'), call, result, assistant('four'), user('b')])).toEqual([4, 2])
  })

  const turns = (count: number) => Array.from({ length: count }, (_, i) => [user(`q${i}`), assistant(`a${i}`)]).flat()

  it('are the newest eight replies, and earlier the first, second, fourth, and multiples of eight', () => {
    expect(places(turns(20)).map((messages) => messages / 2)).toEqual([20, 19, 18, 17, 16, 15, 14, 13, 8, 4, 2, 1])
  })

  it('are about thirty of a thousand replies, at growing distances', () => {
    expect(places(turns(1000)).map((messages) => messages / 2)).toEqual([
      ...[1000, 999, 998, 997, 996, 995, 994, 993],
      ...[992, 984, 976, 968, 960, 952, 944, 936],
      ...[896, 832, 768, 704, 640, 576, 512],
      ...[4, 2, 1],
    ])
  })

  it('have the rank under which the reply was stored, for any later length of the history', () => {
    for (const length of [1, 2, 4, 7, 8, 9, 16, 64, 100, 512]) {
      const rank = chain('chat', turns(length).slice(0, -1)).boundary([assistant(`a${length - 1}`)])?.rank

      expect(chain('chat', turns(length + 3)).candidates.find(({ messages }) => messages === 2 * length)?.rank).toBe(
        rank,
      )
    }
  })

  it.each([
    ['short', 3],
    ['long', 3_000],
    ['short, with half a character', 3, '\ud800'],
  ])('each have the digest of the boundary behind their reply, in a %s history', (_, repeats, end = '') => {
    const messages = turns(20).map(({ role, content }) => ({ role, content: content.repeat(repeats) + end }))
    const { candidates } = chain('chat', [...messages, user('next')])

    expect(candidates).toHaveLength(12)
    for (const candidate of candidates) {
      const [before, reply] = [messages.slice(0, candidate.messages - 1), messages.slice(candidate.messages - 1)]
      expect(chain('chat', before).boundary(reply.slice(0, 1))).toEqual({
        digest: candidate.digest,
        rank: candidate.rank,
      })
    }
  })

  it('ignore reasoning items, which clients may leave out', () => {
    const call = { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' }
    const output = { type: 'function_call_output', call_id: 'c', output: '4' }
    const reasoning = { type: 'reasoning', id: 'r', summary: [] }
    const bare = chain('responses', [user('a'), call, output])
    const full = chain('responses', [user('a'), reasoning, call, output])

    expect(full.candidates.map((candidate) => candidate.digest)).toEqual(
      bare.candidates.map((candidate) => candidate.digest),
    )
    expect(places([user('a'), reasoning, call, output], 'responses')).toEqual([3])
    expect(chain('responses', [user('a')]).boundary([reasoning, call])?.digest).toBe(bare.candidates[0]?.digest)
  })
})

describe('boundary', () => {
  it('is undefined for a reply without identifying content', () => {
    expect(chain('responses', [{ role: 'user', content: 'a' }]).boundary([])).toBeUndefined()
    expect(chain('responses', [{ role: 'user', content: 'a' }]).boundary([{ type: 'reasoning' }])).toBeUndefined()
  })

  it('can be computed for several replies to one request, and does not change the chain', () => {
    const request = [{ role: 'user', content: 'a' }]
    const one = { role: 'assistant', content: '1' }
    const two = { role: 'assistant', content: '2' }
    const asked = chain('chat', request)

    expect([one, two, one].map((reply) => asked.boundary([reply])?.digest)).toEqual(
      [one, two, one].map((reply) => chain('chat', [...request, reply]).candidates[0]?.digest),
    )
  })

  it('is a candidate of the next request, for every history, and of no other', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'm1:', '\ud83d', '\ude00', '\ufffd'), maxLength: 3 })
    const message = fc.record({ role: fc.constantFrom('user', 'assistant', 'tool'), content: word })
    const seen = new Map<string, string>()
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), word, (history, reply) => {
        const request = [...history, { role: 'user', content: 'q' }]
        const answer = { role: 'assistant', content: reply }

        const boundary = chain('chat', request).boundary([answer])?.digest ?? ''

        expect(chain('chat', [...request, answer, { role: 'user', content: 'next' }]).candidates[0]?.digest).toBe(
          boundary,
        )
        const spelt = JSON.stringify([request, answer])
        expect(seen.get(boundary) ?? spelt).toBe(spelt)
        seen.set(boundary, spelt)
      }),
      { numRuns: 2000, seed: 3 },
    )
  })

  it('differs with the scope', () => {
    const request = [{ role: 'user', content: 'a' }]
    const reply = [{ role: 'assistant', content: '1' }]

    expect(chain('chat', request, 'one').boundary(reply)?.digest).not.toBe(
      chain('chat', request, 'two').boundary(reply)?.digest,
    )
  })

  // UTF-8 has no lone surrogates: all of them became the same three bytes.
  it('distinguishes lone surrogates from each other and from the replacement character', () => {
    const digests = ['\ud800', '\ud801', '\ufffd', '\\ud800', '"\\ud800"'].map(
      (content) => chain('chat', [{ role: 'user', content }]).boundary([{ role: 'assistant', content: 'x' }])?.digest,
    )

    expect(new Set(digests).size).toBe(5)
  })
})
