// What a client receives of any answer, over real sockets, however the network splits it: the engine's bytes, or those that it would have
// sent without requested usage. And whatever the splits, cwm recognizes the conversation by the delivered answer.

import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { splitEvents } from '../../src/sse/decode.ts'
import { ask } from '../support/client.ts'
import { cutAt, writePieces } from '../support/cuts.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { RUNS_TIMEOUT_MS, runs } from '../support/runs.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

type Say = (response: ServerResponse, usageAsked: boolean) => void | Promise<void>

let upstream: FakeUpstream
let cwm: Cwm
let say: Say
beforeAll(async () => {
  upstream = await startFakeUpstream(({ body }, response) => {
    const { stream_options: options } = JSON.parse(body.toString()) as { stream_options?: { include_usage?: boolean } }
    return say(response, options?.include_usage === true)
  })
  cwm = await startCwm(upstream.url)
})
afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const usageAsked = { stream_options: { include_usage: true } }
let turns = 0
const turn = () => ({ model: 'm', messages: [{ role: 'user', content: `turn ${turns++}` }] })

interface Stream {
  readonly pieces: readonly { readonly index: number; readonly content: string; readonly comment: boolean }[]
  readonly choices: number
  readonly end: string
  /** JSON as Python or as Rust writes it. */
  readonly spaced: boolean
  /** vLLM puts it on the usage event if there is one, otherwise on each event with a finish_reason. */
  readonly fingerprint: boolean
  readonly done: boolean
  readonly unfinished: string
}

const content = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('é漢🎈', '"choices":[],"usage":{}', '"finish_reason":"stop"', '\n\ndata: [DONE]\n\n', '}'),
)
const stream: fc.Arbitrary<Stream> = fc.record({
  pieces: fc.array(fc.record({ index: fc.nat(1), content, comment: fc.boolean() }), { maxLength: 6 }),
  choices: fc.integer({ min: 1, max: 2 }),
  end: fc.constantFrom('\n', '\r\n', '\r'),
  spaced: fc.boolean(),
  fingerprint: fc.boolean(),
  done: fc.boolean(),
  unfinished: fc.constantFrom('', 'data: {"ch', ': p'),
})
const cuts = fc.array(fc.nat(1500), { maxLength: 12 })

function wire({ pieces, choices, end, spaced, fingerprint, done, unfinished }: Stream, withUsage: boolean): Buffer {
  const event = (value: object) => {
    const text = JSON.stringify(value)
    return `data: ${spaced ? text.replace('"choices":[', '"choices": [ ').replace('"finish_reason":', '"finish_reason": ') : text}`
  }
  const print = fingerprint ? { system_fingerprint: 'fp' } : {}
  const choice = (index: number, text: string, reason: string | null) => ({
    id: 'c',
    choices: [{ index, finish_reason: reason, delta: { content: text } }],
    ...(reason !== null && !withUsage ? print : {}),
  })
  const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
  const events = [
    ...pieces.flatMap(({ index, content: text, comment }) => [
      ...(comment ? [': still here é漢🎈'] : []),
      event(choice(index % choices, text, null)),
    ]),
    ...[...Array(choices).keys()].map((index) => event(choice(index, '', 'stop'))),
    ...(withUsage ? [event({ id: 'c', choices: [], usage, ...print })] : []),
    ...(done ? ['data: [DONE]'] : []),
  ]
  return Buffer.from(events.map((lines) => lines + end + end).join('') + unfinished)
}

describe('any stream', { timeout: RUNS_TIMEOUT_MS }, () => {
  it('reaches its client with the bytes that the engine would have sent it, and its conversation is recognized', async () => {
    await fc.assert(
      fc.asyncProperty(stream, cuts, fc.boolean(), async (told, places, asks) => {
        const asked = { ...turn(), stream: true, ...(asks ? usageAsked : {}) }
        say = async (response, withUsage) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          await writePieces(response, cutAt(wire(told, withUsage), places))
          response.end()
        }

        const got = await ask(cwm.url, CHAT, { body: asked })

        expect(got.text).toBe(wire(told, asks).toString())
        expect(got.clean).toBe(true)

        say = (response) => sayJson(response, chatAnswer('well'))
        const reply = told.pieces.filter(({ index }) => index % told.choices === 0)
        const messages = [
          ...asked.messages,
          { role: 'assistant', content: reply.map(({ content: text }) => text).join('') },
          { role: 'user', content: 'and then?' },
        ]
        const next = await ask(cwm.url, CHAT, { body: { ...asked, stream: false, messages } })
        expect(next.headers['x-cwm-session']).toBe(got.headers['x-cwm-session'])
      }),
      runs(30),
    )
  })

  it('that breaks at any byte reaches its client up to the last whole event, then an error, and never ends cleanly', async () => {
    await fc.assert(
      fc.asyncProperty(stream, cuts, fc.double({ min: 0, max: 1, noNaN: true }), async (told, places, share) => {
        const whole = wire(told, true)
        const sent = whole.subarray(0, Math.floor(share * whole.length))
        say = async (response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          await writePieces(response, cutAt(sent, places))
          response.destroy()
        }

        const got = await ask(cwm.url, CHAT, { body: { ...turn(), stream: true, ...usageAsked } })

        const events = Buffer.concat(splitEvents(sent)).toString()
        expect(got.text.startsWith(events)).toBe(true)
        expect(got.text.slice(events.length)).toMatch(/^data: \{"error":\{[^\n]+\n\n$/)
        expect(got.clean).toBe(false)
      }),
      runs(30),
    )
  })
})

describe('any bytes', { timeout: RUNS_TIMEOUT_MS }, () => {
  const type = fc.constantFrom('application/json', 'text/event-stream', 'text/event-stream; charset=utf-8', 'audio/wav')
  const path = fc.constantFrom(CHAT, '/v1/completions', '/v1/responses', '/v1/messages')
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom('\n\n', '\r\n\r\n', '\r\r', 'data: ', '{"choices":[', '[DONE]').map((text) => Buffer.from(text)),
  )

  it('with any type and status, on any path, reach the client unchanged', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ path, type, status: fc.constantFrom(200, 400, 503), pieces: fc.array(piece, { maxLength: 9 }) }),
        fc.boolean(),
        async ({ path: asked, type: contentType, status, pieces }, streamed) => {
          say = async (response) => {
            response.writeHead(status, { 'content-type': contentType })
            await writePieces(response, pieces)
            response.end()
          }

          const body = { ...turn(), input: 'x', prompt: 'x', max_tokens: 3, stream: streamed }
          const got = await ask(cwm.url, asked, { body })

          expect(got.status).toBe(status)
          expect(got.body.toString('hex')).toBe(Buffer.concat(pieces).toString('hex'))
          expect(got.clean).toBe(true)
        },
      ),
      runs(40),
    )
  })
})
