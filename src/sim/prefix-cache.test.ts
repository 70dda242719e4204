import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PrefixCache } from './prefix-cache.ts'

const space = { salt: 'a', adapter: '' }
const sequence = (length: number): number[] => Array.from({ length }, (_, i) => i % 7)

describe('the prefix cache', () => {
  it('hits whole blocks, and never the last token', () => {
    const cache = new PrefixCache(16, 1000)
    cache.insert(sequence(64), space)

    expect(cache.match(sequence(64), space)).toBe(48)
    expect(cache.match(sequence(65), space)).toBe(64)
    expect(cache.match(sequence(63), space)).toBe(48)
  })

  it('shares nothing across salts or adapters', () => {
    const cache = new PrefixCache(16, 1000)
    cache.insert(sequence(64), space)

    expect(cache.match(sequence(64), { salt: 'b', adapter: '' })).toBe(0)
    expect(cache.match(sequence(64), { salt: 'a', adapter: 'lora' })).toBe(0)
  })

  it('evicts the tail of the oldest sequence first', () => {
    const cache = new PrefixCache(16, 5)
    cache.insert(sequence(64), space)
    cache.insert(sequence(32).reverse(), space)

    expect(cache.match(sequence(65), space)).toBe(48)
  })

  it('hits the common prefix of two sequences, in whole blocks', () => {
    const token = fc.integer({ min: 0, max: 3 })
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), fc.array(token, { maxLength: 40 }), (one, other) => {
        const cache = new PrefixCache(4, 1000)
        cache.insert(one, space)
        const differs = other.findIndex((id, at) => id !== one[at])
        const common = differs < 0 ? other.length : differs
        const usable = Math.min(common, Math.max(0, other.length - 1), one.length)

        expect(cache.match(other, space)).toBe(Math.floor(usable / 4) * 4)
      }),
    )
  })
})
