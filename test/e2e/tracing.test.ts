// Traces of requests: what a collector receives over HTTP, what the engine is told, and that neither shows what was said.

import { afterEach, describe, expect, it } from 'vitest'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../../scripts/trace/otlp-receiver.mjs'
import type { Settings } from '../../src/config/schema.ts'
import { ask } from '../support/client.ts'
import { askChat, chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { metricOf } from '../support/departing-client.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const CLIENT_TRACE = '0af7651916cd43dd8448eb211c80319c'
const CLIENT_SPAN = 'b7ad6b7169203331'
const traced = (flags: '00' | '01') => ({
  traceparent: `00-${CLIENT_TRACE}-${CLIENT_SPAN}-${flags}`,
  tracestate: 'congo=t61rcWkgMzE',
})

let collector: OtlpReceiver
let stack: Stack

async function start(settings: Partial<Settings> = {}, status = 200): Promise<void> {
  collector = await startOtlpReceiver({ status })
  stack = await startStack({ settings: { otlp_endpoint: collector.url, ...settings } })
}

afterEach(async () => {
  await stack.close()
  await collector.close()
})

/** Stops cwm, which sends what it has, and returns the spans of the trace that contains `route`'s last request. */
async function spansAfterStop(): Promise<{
  readonly request: ReceivedSpan
  readonly children: readonly ReceivedSpan[]
}> {
  await stack.stop()
  const request = collector.spans.findLast(({ kind }) => kind === 2)
  if (request === undefined) throw new Error('the collector has no request')
  const children = collector.spans.filter(({ parentSpanId }) => parentSpanId === request.spanId)
  return { request, children: [...children].sort((a, b) => a.startMs - b.startMs) }
}

const namesOf = (spans: readonly ReceivedSpan[]) => spans.map(({ name }) => name)
const engineHeaders = () => stack.sim.requests.last('engine')?.headers ?? {}

/** Resolves once a request has reached the engine on this path. */
function atEngine(path: string, count = 1) {
  return until(`${count} requests on ${path} at the engine`, () => {
    const found = stack.sim.requests.all('engine').filter((entry) => entry.path === path)
    return found.length >= count ? found : undefined
  })
}

/** Resolves once cwm knows that a client has left. */
const clientGone = () => until('cwm notices', async () => (await metricOf(stack.url, 'cwm_client_gone_total')) === 1)

async function freezeBerth(): Promise<void> {
  await chat(stack.url, [user('The berth is number seven.')], { headers: { 'x-cwm-freeze': 'berth' } })
  await settled(stack.url, 'berth')
  stack.sim.requests.clear()
}

describe('a thawing, streamed turn', () => {
  const headers = { 'x-cwm-window': 'berth', 'x-cwm-session': 'ann-mills' }

  it('is one span by the GenAI conventions, with a child for each phase, in order', async () => {
    await start()
    await freezeBerth()

    await askChat(stack.url, [user('Which berth?')], { headers, body: { stream: true } })
    const sent = engineHeaders()
    const { request, children } = await spansAfterStop()

    expect(request).toMatchObject({ name: 'chat sim-model', failed: false })
    expect(request.resource).toMatchObject({ 'service.name': 'cwm' })
    expect(request.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/chat/completions',
      'http.response.status_code': 200,
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'vllm',
      'gen_ai.request.model': 'sim-model',
      'gen_ai.request.stream': true,
      'gen_ai.response.time_to_first_chunk': expect.any(Number),
      'gen_ai.usage.input_tokens': expect.any(Number),
      'gen_ai.usage.cache_read.input_tokens': expect.any(Number),
      'gen_ai.usage.output_tokens': expect.any(Number),
    })
    expect(namesOf(children)).toEqual(['thaw', 'upstream wait', 'stream'])
    const wait = children.find(({ kind }) => kind === 3)
    expect(sent.traceparent).toBe(`00-${request.traceId}-${wait?.spanId}-01`)
  })

  it('shows neither what was said, nor the names of session and window, nor a key', async () => {
    await start()
    await freezeBerth()

    await askChat(stack.url, [user('Which berth?')], {
      headers: { ...headers, authorization: 'Bearer key-of-ann' },
      body: { stream: true },
    })
    await askChat(stack.url, [user('Which berth?')], { headers, body: { stream: true } })
    const { request } = await spansAfterStop()

    expect(request.attributes['gen_ai.conversation.id']).toMatch(/^[\w-]{22}$/)
    const sent = collector.requests.map(({ text }) => text).join('')
    for (const secret of ['berth', 'ann-mills', 'seven', 'key-of']) expect(sent).not.toContain(secret)
  })

  it('that is aborted in its stream ends with client_gone, and with it each phase', async () => {
    await start()
    await freezeBerth()
    stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'stall', events: 2 } })
    const stop = new AbortController()
    const left = ask(stack.url, '/v1/chat/completions', {
      body: { model: 'sim-model', messages: [user('Which berth?')], stream: true },
      headers,
      signal: stop.signal,
    }).catch(() => 'left')
    await until('the stream began', async () => (await metricOf(stack.url, 'cwm_ttft_seconds_count')) === 2)

    stop.abort()
    await left
    await clientGone()
    const { request, children } = await spansAfterStop()

    expect(request.attributes).toMatchObject({ 'http.response.status_code': 499, 'error.type': 'client_gone' })
    expect(namesOf(children)).toEqual(['thaw', 'upstream wait', 'stream'])
    expect(children.map(({ failed }) => failed)).toEqual([false, false, true])
    expect(children.at(-1)?.attributes).toEqual({ 'error.type': 'client_gone' })
  })

  it('that is aborted in its thaw has that phase alone', async () => {
    await start()
    await freezeBerth()
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'stall' } })
    const stop = new AbortController()
    const body = { model: 'sim-model', messages: [user('Which berth?')] }
    const left = ask(stack.url, '/v1/chat/completions', { body, headers, signal: stop.signal }).catch(() => 'left')
    await atEngine('/v1/completions')

    stop.abort()
    await left
    await clientGone()
    const { request, children } = await spansAfterStop()

    expect(request.attributes).toMatchObject({ 'http.response.status_code': 499, 'error.type': 'client_gone' })
    expect(namesOf(children)).toEqual(['thaw'])
    expect(children[0]?.failed).toBe(true)
  })
})

describe('the phases before the engine', () => {
  it('a turn that waited for a slot has a queue span', async () => {
    await start({ max_in_flight_per_tenant: 1 })
    stack.sim.fault({ path: '/v1/chat/completions', times: 1, action: { kind: 'stall' } })
    const stop = new AbortController()
    const body = { model: 'sim-model', messages: [user('First.')] }
    const first = ask(stack.url, '/v1/chat/completions', { body, signal: stop.signal }).catch(() => 'left')
    await atEngine('/v1/chat/completions')
    const second = chat(stack.url, [user('Second.')])
    await until('the second waits', async () => (await metricOf(stack.url, 'cwm_requests_queued')) === 1)

    stop.abort()
    await Promise.all([first, second])
    const { children } = await spansAfterStop()

    expect(namesOf(children)).toEqual(['queue', 'upstream wait', 'stream'])
  })

  it('a turn that is measured has a count span, and one that does not fit is an error of the client', async () => {
    await start({ overflow: 'reject', limits: { 'sim-model': 64 } })

    const refused = await askChat(stack.url, [user('word '.repeat(200))])
    const { request, children } = await spansAfterStop()

    expect(refused.status).toBe(400)
    expect(request).toMatchObject({ failed: false })
    expect(request.attributes).toMatchObject({ 'error.type': 'context_length_exceeded' })
    expect(children.map(({ name, failed }) => [name, failed])).toEqual([['count', true]])
  })
})

describe("the client's traceparent", () => {
  it('is the parent of the request, and its tracestate goes on to the engine', async () => {
    await start()

    await chat(stack.url, [user('hi')], { headers: traced('01') })
    const sent = engineHeaders()
    const { request, children } = await spansAfterStop()

    expect(request).toMatchObject({ traceId: CLIENT_TRACE, parentSpanId: CLIENT_SPAN })
    expect(sent.traceparent).toBe(`00-${CLIENT_TRACE}-${children.find(({ kind }) => kind === 3)?.spanId}-01`)
    expect(sent.tracestate).toBe('congo=t61rcWkgMzE')
  })

  it('that is not sampled is passed on under a new span id, and nothing is recorded', async () => {
    await start()

    await chat(stack.url, [user('hi')], { headers: traced('00') })
    const sent = engineHeaders()
    await stack.stop()

    expect(sent.traceparent).toMatch(new RegExp(`^00-${CLIENT_TRACE}-[0-9a-f]{16}-00$`))
    expect(sent.traceparent).not.toContain(CLIENT_SPAN)
    expect(collector.spans).toEqual([])
  })

  it('that is not one is replaced, together with its tracestate', async () => {
    await start()

    await chat(stack.url, [user('hi')], { headers: { traceparent: '00-nonsense-01', tracestate: 'congo=1' } })
    const sent = engineHeaders()
    const { request } = await spansAfterStop()

    expect(sent.traceparent).toContain(`00-${request.traceId}-`)
    expect(sent.tracestate).toBeUndefined()
  })

  it('is passed on unchanged without tracing', async () => {
    await start({ otlp_endpoint: undefined as never })

    await chat(stack.url, [user('hi')], { headers: traced('01') })

    expect(engineHeaders()).toMatchObject(traced('01'))
  })
})

describe('the collector', () => {
  it('gets the headers of the settings', async () => {
    await start({ otlp_headers: 'x-api-key=to%20ken,x-team=two' })

    await chat(stack.url, [user('hi')])
    await stack.stop()

    expect(collector.requests[0]).toMatchObject({
      path: '/v1/traces',
      headers: { 'x-api-key': 'to ken', 'x-team': 'two' },
    })
  })

  it('that takes no spans changes no answer, and what it refused is counted', async () => {
    await start({}, 400)

    const { got } = await chat(stack.url, [user('hi')])
    const failed = 'cwm_trace_spans_total\\{outcome="failed"\\}'
    await until('the spans are refused', async () => (await metricOf(stack.url, failed)) === 3)

    expect(got.status).toBe(200)
  })

  it('gets nothing of the requests that are not sampled', async () => {
    await start({ trace_sample_ratio: 0 })

    await chat(stack.url, [user('hi')])
    const sent = engineHeaders()
    await stack.stop()

    expect(sent.traceparent).toMatch(/-00$/)
    expect(collector.requests).toEqual([])
  })
})

describe('other requests', () => {
  it('are named by method and route, and have no GenAI attributes', async () => {
    await start()

    await ask(stack.url, '/v1/models')
    const { request } = await spansAfterStop()

    expect(request.name).toBe('GET /v1/models')
    expect(Object.keys(request.attributes).some((name) => name.startsWith('gen_ai.'))).toBe(false)
  })

  it('embeddings are an operation of their own', async () => {
    await start()

    await ask(stack.url, '/v1/embeddings', { body: { model: 'sim-model', input: 'hi' } })
    const { request, children } = await spansAfterStop()

    expect(request.name).toBe('embeddings sim-model')
    expect(namesOf(children)).toEqual(['upstream wait', 'stream'])
  })
})
