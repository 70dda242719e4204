// Calls to vLLM that the contract (test/contracts/engine) cannot check: its exact answers to warm calls and probes.

import { expect, it } from 'vitest'
import { CwmError } from '../../base/errors.ts'
import { Breaker } from '../breaker.ts'
import type { AnswerSink, OutgoingRequest } from '../engine.ts'
import { GuardedUpstream } from '../guarded-upstream.ts'
import type { Upstream } from '../upstream.ts'
import { VllmEngine } from './vllm-engine.ts'

/** An engine whose upstream gives this answer, or fails. Records the requests. */
function engineThat(answers: { readonly status: number; readonly body: object } | CwmError) {
  const sent: OutgoingRequest[] = []
  const send = (request: OutgoingRequest, sink: AnswerSink) => {
    sent.push(request)
    queueMicrotask(() => {
      if (answers instanceof CwmError) return sink.onError(answers)
      sink.onHeaders(answers.status, [], '')
      sink.onData(Buffer.from(JSON.stringify(answers.body)))
      sink.onEnd()
    })
    return () => {}
  }
  const upstream = { origin: 'http://engine:8000', url: 'http://engine:8000/base', send } as unknown as Upstream
  const breaker = new Breaker({ failures: 1, openMs: 1_000, now: () => 0, onChange: () => {} })
  const guarded = new GuardedUpstream(upstream, breaker)
  return { engine: new VllmEngine(guarded, { limits: {}, warmDeadlineMs: 1_000, now: () => 0 }), sent }
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
