// Usage in answers that are passed on unread, however they are cut and however long they are.

import { describe, expect, it } from 'vitest'
import { UsagePeek } from './usage-peek.ts'

const usage = { prompt_tokens: 7, total_tokens: 7, completion_tokens: 0, prompt_tokens_details: null }
const embedding = (numbers: number) => ({
  id: 'embd-1',
  object: 'list',
  data: [{ index: 0, embedding: Array.from({ length: numbers }, (_, n) => n / 7) }],
  usage,
})

function read(body: string | object, step = 1_000) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const peek = new UsagePeek()
  for (let at = 0; at < bytes.length; at += step) peek.add(bytes.subarray(at, at + step))
  return peek.read()
}

describe('the usage', () => {
  it.each([1, 300, 50_000])('of a short answer and of a long one is read from pieces of %i bytes', (step) => {
    expect(read(embedding(4), step)?.promptTokens).toBe(7)
    expect(read(embedding(2_000), Math.max(step, 300))?.promptTokens).toBe(7)
  })

  it('may stand anywhere in a short answer', () => {
    expect(read({ usage, results: [{ document: { text: 'x' } }] })?.promptTokens).toBe(7)
  })

  it('is unknown if a long answer does not end with it, and never that of an inner object', () => {
    const filler = 'x'.repeat(20_000)
    expect(read({ usage, results: [filler] })).toBeUndefined()
    expect(read({ filler, results: [{ usage: { prompt_tokens: 1 } }] })).toBeUndefined()
    expect(read({ filler, text: '"usage":{"prompt_tokens":1}}' })).toBeUndefined()
  })

  it('is unknown if there is none, or the answer is no JSON', () => {
    for (const body of ['', 'not JSON', '[1]', '{"usage":null}', { data: [] }]) expect(read(body)).toBeUndefined()
  })
})
