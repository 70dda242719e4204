// What is learned about the price of KV, and what is left out.

import { describe, expect, it } from 'vitest'
import { KvCosts } from './kv-costs.ts'

const whole = { computedTokens: 10_000, cachedTokens: 0, ms: 1_000 }

describe('KvCosts', () => {
  it('knows nothing before it has seen something', () => {
    const costs = new KvCosts()

    expect(costs.bytesPerToken('./m')).toBeUndefined()
    expect(costs.prefillRate('e', 'm')).toBeUndefined()
  })

  it('divides the bytes of a chunk by its tokens, per model', () => {
    const costs = new KvCosts()

    costs.sawChunks('./m', 256, { chunkBytes: 33_554_432 })
    costs.sawChunks('./other', 256, { chunkBytes: null })

    expect(costs.bytesPerToken('./m')).toBe(131_072)
    expect(costs.bytesPerToken('./other')).toBeUndefined()
  })

  it('takes the rate of the first prompt, then moves a quarter of the way to each further one', () => {
    const costs = new KvCosts()

    costs.sawPrefill('e', 'm', whole)
    expect(costs.prefillRate('e', 'm')).toBe(10_000)
    costs.sawPrefill('e', 'm', { ...whole, ms: 500 })

    expect(costs.prefillRate('e', 'm')).toBe(12_500)
    expect(costs.prefillRate('e', 'other')).toBeUndefined()
    expect(costs.prefillRate('other', 'm')).toBeUndefined()
  })

  it.each([
    ['a short one', { ...whole, computedTokens: 511 }],
    ['one that was cached in part', { ...whole, cachedTokens: 1_001 }],
    ['one whose cached tokens are unknown', { ...whole, cachedTokens: null }],
    ['one without a time', { ...whole, ms: null }],
    ['one that took no time', { ...whole, ms: 0 }],
  ])('learns no rate from %s', (_, seen) => {
    const costs = new KvCosts()

    costs.sawPrefill('e', 'm', seen)

    expect(costs.prefillRate('e', 'm')).toBeUndefined()
  })
})
