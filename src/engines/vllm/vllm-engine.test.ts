// Calls to vLLM that the contract (test/contracts/engine) cannot check: its exact answers to warm calls and probes.

import { expect, it } from 'vitest'
import { CwmError } from '../../base/errors.ts'
import { Breaker } from '../breaker.ts'
import type { AnswerSink, OutgoingRequest } from '../engine.ts'
import { GuardedUpstream } from '../guarded-upstream.ts'
import type { Upstream } from '../upstream.ts'
import { VllmEngine, type VllmOptions } from './vllm-engine.ts'

/** An engine whose upstream gives this answer, or fails. Records the requests. */
function engineThat(
  answers: { readonly status: number; readonly body: object | '' } | CwmError,
  options: Partial<VllmOptions> = {},
) {
  const sent: OutgoingRequest[] = []
  const send = (request: OutgoingRequest, sink: AnswerSink) => {
    sent.push(request)
    queueMicrotask(() => {
      if (answers instanceof CwmError) return sink.onError(answers)
      sink.onHeaders(answers.status, [], '')
      sink.onData(Buffer.from(answers.body === '' ? '' : JSON.stringify(answers.body)))
      sink.onEnd()
    })
    return () => {}
  }
  const upstream = { origin: 'http://engine:8000', url: 'http://engine:8000/base', send } as unknown as Upstream
  const breaker = new Breaker({ failures: 1, openMs: 1_000, now: () => 0, onChange: () => {} })
  const guarded = new GuardedUpstream(upstream, breaker)
  return { engine: new VllmEngine(guarded, { limits: {}, warmDeadlineMs: 1_000, now: () => 0, ...options }), sent }
}

it('is identified by its URL', () => {
  const { engine } = engineThat({ status: 200, body: {} })

  expect([engine.id, engine.origin]).toEqual(['http://engine:8000/base', 'http://engine:8000'])
})

it.each([
  [
    { prompt_tokens: 3, prompt_tokens_details: { cached_tokens: 2 } },
    { promptTokens: 3, cachedTokens: 2 },
  ],
  [
    { prompt_tokens: 3, prompt_tokens_details: null },
    { promptTokens: 3, cachedTokens: undefined },
  ],
  [undefined, { promptTokens: 0, cachedTokens: undefined }],
])('reads the usage %j of a warm call', async (usage, result) => {
  const { engine, sent } = engineThat({ status: 200, body: { usage } })

  const warm = await engine.warm({ model: 'tiny', tokenIds: Uint32Array.of(7, 8, 9), salt: 's' }, { apiKey: undefined })

  expect(warm).toEqual(result)
  expect(JSON.parse(sent[0]?.body?.toString() ?? '')).toEqual({
    model: 'tiny',
    max_tokens: 1,
    temperature: 0,
    cache_salt: 's',
    prompt: [7, 8, 9],
  })
})

it.each([
  [{ status: 200, body: {} }, { ok: true }],
  [{ status: 401, body: {} }, { ok: true }],
  [
    { status: 503, body: {} },
    { ok: false, error: 'status 503' },
  ],
  [new CwmError('UPSTREAM_REFUSED', 'nobody there'), { ok: false, error: 'upstream_refused' }],
])('a probe that gets %j finds %j', async (answer, found) => {
  expect(await engineThat(answer).engine.health.probe(100)).toEqual(found)
})

it.each([
  [{ status: 200, body: '' as const }, { ok: true }],
  [{ status: 404, body: {} }, { ok: true }],
  [
    { status: 503, body: '' as const },
    { ok: false, error: 'status 503' },
  ],
])('a check of /health that gets %j finds %j', async (answer, found) => {
  const { engine, sent } = engineThat(answer)

  expect(await engine.health.check(100)).toEqual(found)
  expect(sent.map(({ path }) => path)).toEqual(['/health'])
})

it('adds the headers of a call to a warm call and to a count', async () => {
  const { engine, sent } = engineThat({ status: 200, body: { tokens: [1] } })
  const options = { apiKey: undefined, headers: ['x-route', 'r1'] }

  await engine.warm({ model: 'tiny', tokenIds: Uint32Array.of(7), salt: 's' }, options)
  await engine.countText('tiny', 'a', options)

  for (const { headers } of sent) expect(headers.join(' ')).toContain('x-route r1')
})

it('sends a key of its own instead of every other key', async () => {
  const { engine, sent } = engineThat({ status: 200, body: { data: [] } }, { apiKey: 'own' })
  const sink: AnswerSink = { onStart() {}, onHeaders() {}, onData() {}, onEnd() {}, onError() {} }
  const headers = ['Authorization', 'Bearer client', 'x-api-key', 'client', 'accept', '*/*']

  engine.send({ method: 'POST', path: '/v1/messages', headers, body: undefined }, sink)
  await engine.models.list('client')
  await engine.health.check(100)

  expect(sent[0]?.headers).toEqual(['accept', '*/*', 'authorization', 'Bearer own', 'x-api-key', 'own'])
  for (const { headers: sentHeaders } of sent) {
    expect(sentHeaders.join(' ')).toContain('authorization Bearer own')
    expect(sentHeaders.join(' ')).not.toContain('client')
  }
})

it('says which LMCache server it is attached to', () => {
  expect(engineThat({ status: 200, body: {} }, { kvServer: 'node-a' }).engine.kvServer).toBe('node-a')
  expect(engineThat({ status: 200, body: {} }).engine.kvServer).toBeUndefined()
})
