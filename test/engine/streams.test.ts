// A client receives a stream byte for byte as the engine sent it, recorded by a hop between them. The exception is a usage event that only
// cwm requested: then the client receives what the engine would have sent without it.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MODEL } from './support/conversations.ts'
import { type Cwm, KEY, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { engineUrl } from './support/stack.ts'

let hop: Hop
let cwm: Cwm

beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
})

afterAll(async () => {
  await cwm.dispose()
  await hop.close()
})

interface Tap {
  readonly fetch: typeof globalThis.fetch
  /** The body's bytes from the socket. Resolves when the stream is over. */
  bytes(): Promise<string>
}

/** A `fetch` for an SDK that records what the SDK reads. */
function tapped(): Tap {
  let kept: Promise<string> | undefined
  return {
    fetch: async (...request) => {
      const answer = await fetch(...request)
      if (answer.body === null) return answer
      const [forSdk, forTest] = answer.body.tee()
      kept = new Response(forTest).text()
      return new Response(forSdk, answer)
    },
    bytes: () => kept ?? Promise.reject(new Error('no request was made')),
  }
}

/** Reads an SDK's stream to its end. Returns the number of events. */
async function drain(stream: AsyncIterable<unknown>): Promise<number> {
  let events = 0
  for await (const _ of stream) events++
  return events
}

const sampling = { model: MODEL, max_tokens: 8, temperature: 1, seed: 7, stream: true } as const
const chat = { ...sampling, messages: [{ role: 'user' as const, content: 'who wrote the name?' }] }
const completion = { ...sampling, prompt: 'who wrote the name?' }
const withUsage = { stream_options: { include_usage: true } }

/** A stream through the proxy with the OpenAI SDK, and what the engine sent for it. */
async function through(path: string, run: (client: OpenAI) => Promise<AsyncIterable<unknown>>) {
  const tap = tapped()
  const client = new OpenAI({ baseURL: `${cwm.url}/v1`, apiKey: KEY, maxRetries: 0, fetch: tap.fetch })
  const events = await drain(await run(client))
  return { events, got: await tap.bytes(), sent: hop.last(path).responseBody.toString() }
}

describe('a stream with usage requested by the client, or always included, is unchanged', () => {
  it.each([
    ['chat', '/v1/chat/completions', (c: OpenAI) => c.chat.completions.create({ ...chat, ...withUsage })],
    ['chat, n=2', '/v1/chat/completions', (c: OpenAI) => c.chat.completions.create({ ...chat, ...withUsage, n: 2 })],
    ['completions', '/v1/completions', (c: OpenAI) => c.completions.create({ ...completion, ...withUsage })],
    [
      'responses',
      '/v1/responses',
      (c: OpenAI) =>
        c.responses.create({ model: MODEL, input: 'who?', max_output_tokens: 12, temperature: 0, stream: true }),
    ],
  ])('%s', async (_, path, run) => {
    const { events, got, sent } = await through(path, run)

    expect(events).toBeGreaterThan(3)
    expect(got).toBe(sent)
  })

  it('messages', async () => {
    const tap = tapped()
    const client = new Anthropic({ baseURL: cwm.url, apiKey: KEY, maxRetries: 0, fetch: tap.fetch })
    const messages = [{ role: 'user' as const, content: 'who wrote the name?' }]

    const final = await client.messages
      .stream({ model: MODEL, max_tokens: 12, messages, temperature: 0 })
      .finalMessage()

    expect(final.content[0]?.type).toBe('text')
    expect(await tap.bytes()).toBe(hop.last('/v1/messages').responseBody.toString())
  })
})

describe('a stream without usage requested by the client', () => {
  const cases = [
    ['chat', '/v1/chat/completions', chat],
    ['chat, n=2', '/v1/chat/completions', { ...chat, n: 2 }],
    ['chat with include_usage false', '/v1/chat/completions', { ...chat, stream_options: { include_usage: false } }],
    ['completions', '/v1/completions', completion],
    ['completions, n=2', '/v1/completions', { ...completion, n: 2 }],
  ] as const
  const run = (path: string, body: object) =>
    through(path, (client) => client.post(path.slice('/v1'.length), { body, stream: true }) as Promise<never>)

  it.each(cases)('%s: has no usage event, and the fingerprint in its place', async (_, path, body) => {
    const { got, sent } = await run(path, body)

    expect(JSON.parse(hop.last(path).requestBody.toString())).toMatchObject(withUsage)
    expect(sent).toMatch(/"choices":\[\],"usage"/)
    expect(got).toBe(withoutUsageEvent(sent))
    expect(got).not.toContain('"usage"')
    const finishes = eventsOf(got).filter((event) => /"finish_reason":"/.test(event))
    expect(finishes).toHaveLength('n' in body ? 2 : 1)
    for (const event of finishes) expect(event).toMatch(/"system_fingerprint":"[^"]+"\}$/)
    expect(got.match(/system_fingerprint/g)).toHaveLength(finishes.length)
    expect(got.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  // The engine merges tokens into one event when its socket is slower, so two runs may be split differently. This tries several times.
  it.each(cases)("%s: equals the engine's direct answer", { retry: 9 }, async (_, path, body) => {
    const { got } = await run(path, body)

    const direct = await fetch(engineUrl + path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })

    expect(normalised(got)).toEqual(normalised(await direct.text()))
  })
})

describe('an unstreamed answer', () => {
  it.each([
    ['/v1/chat/completions', { ...chat, stream: false }],
    ['/v1/completions', { ...completion, stream: false }],
    ['/v1/responses', { model: MODEL, input: 'who?', max_output_tokens: 12 }],
    ['/v1/messages', { model: MODEL, messages: chat.messages, max_tokens: 12 }],
    ['/v1/chat/completions', { ...chat, stream: false, max_tokens: -1 }],
  ])('of %s is unchanged, and so is an error', async (path, body) => {
    const answer = await fetch(cwm.url + path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
    })

    expect(await answer.text()).toBe(hop.last(path).responseBody.toString())
  })
})

const eventsOf = (stream: string): string[] => stream.split('\n\n').filter((event) => event !== '')

/**
 * Reverses docs/engine-behavior.md#stream-fingerprint in the text: removes the usage event, and adds its fingerprint to each finish event.
 */
function withoutUsageEvent(stream: string): string {
  const events = eventsOf(stream)
  const usage = events.find((event) => event.includes('"choices":[]')) ?? ''
  const fingerprint = /"system_fingerprint":"[^"]*"/.exec(usage)?.[0]
  const rest = events
    .filter((event) => event !== usage)
    .map((event) => (/"finish_reason":"/.test(event) ? event.replace(/\}$/, `,${fingerprint}}`) : event))
  return rest.map((event) => `${event}\n\n`).join('')
}

/** Ids and times vary per request. With n > 1 the engine interleaves the choices arbitrarily, so they are sorted, each in its order. */
function normalised(stream: string): string[] {
  const choiceOf = (event: string) => Number(/"index":(\d+)/.exec(event)?.[1] ?? Number.POSITIVE_INFINITY)
  return eventsOf(stream)
    .map((event) => event.replace(/"id":"[^"]*"/, '"id":"…"').replace(/"created":\d+/, '"created":0'))
    .sort((a, b) => Math.sign(choiceOf(a) - choiceOf(b)) || 0)
}
