// Near the context limit vLLM cuts answers; above it, it rejects requests: docs/engine-behavior.md#context-limit.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { idsOf } from './asks.ts'
import { field, longText, newSalt, openTarget, type Reply, type Target } from './target.ts'

let target: Target
let ids: number[]

beforeAll(async () => {
  target = await openTarget()
  ids = await idsOf(target, longText(target.limit * 2), target.limit + 10)
})

afterAll(() => target?.close())

function complete(promptTokens: number, maxTokens: number, rest: object = {}): Promise<Reply> {
  const prompt = ids.slice(0, promptTokens)
  const body = { model: target.model, prompt, max_tokens: maxTokens, ignore_eos: true, cache_salt: newSalt(), ...rest }
  return target.call('engine', 'POST', '/v1/completions', body)
}

describe('near the limit', () => {
  it('an answer is cut without an error', async () => {
    const { status, json } = await complete(target.limit - 9, 200)

    expect(status).toBe(200)
    expect(field(json, 'choices.0.finish_reason')).toBe('length')
    expect(field(json, 'usage.total_tokens')).toBe(target.limit)
    expect(field(json, 'usage.completion_tokens')).toBe(9)
  })

  it('an answer with such a requested limit looks the same', async () => {
    const { json } = await complete(100, 9)

    expect(field(json, 'choices.0.finish_reason')).toBe('length')
    expect(field(json, 'usage.total_tokens')).toBe(109)
  })

  it('a prompt with space for one token gets one', async () => {
    const { json } = await complete(target.limit - 1, 5)

    expect(field(json, 'usage.completion_tokens')).toBe(1)
  })
})

describe('above the limit', () => {
  it('a prompt as long as the limit leaves no tokens for the answer', async () => {
    const { status, json } = await complete(target.limit, 1)

    expect(status).toBe(400)
    expect(field(json, 'error.param')).toBe('max_tokens')
  })

  it('a longer prompt is rejected by its tokens', async () => {
    const { status, json } = await complete(target.limit + 1, 1)

    expect(status).toBe(400)
    expect(field(json, 'error.param')).toBe('input_tokens')
    expect(String(field(json, 'error.message'))).toContain(`maximum context length is ${target.limit} tokens`)
  })

  it('too many requested tokens are rejected, streamed or not', async () => {
    const whole = await complete(10, target.limit + 1)
    const streamed = await complete(10, target.limit + 1, { stream: true })

    expect(whole.status).toBe(400)
    expect(field(whole.json, 'error.param')).toBe('max_tokens')
    expect([streamed.status, streamed.json]).toEqual([whole.status, whole.json])
  })
})
