// When a receipt says that loading was slower than computing.

import { describe, expect, it } from 'vitest'
import { loadOrCompute } from './load-or-compute.ts'

const loaded = { restoredTokens: 9_000, computedTokens: 1_000, firstTokenMs: 500 }

describe('loadOrCompute', () => {
  it('says how long the engine would have computed the whole prompt', () => {
    expect(loadOrCompute(loaded, 10_000)).toEqual({ computeMs: 1_000, notes: [] })
  })

  it('says it where the first text came clearly later than that', () => {
    const slow = { ...loaded, firstTokenMs: 1_251 }

    expect(loadOrCompute(slow, 10_000)).toEqual({
      computeMs: 1_000,
      notes: [
        expect.stringMatching(/^loading was slower than computing: .* 1251 ms, .* 10000 tokens in about 1000 ms/),
      ],
    })
    expect(loadOrCompute({ ...slow, firstTokenMs: 1_250 }, 10_000).notes).toEqual([])
  })

  it('does not report a loss of milliseconds', () => {
    expect(loadOrCompute({ ...loaded, firstTokenMs: 230 }, 300_000)).toEqual({ computeMs: 33, notes: [] })
  })

  it('does not blame loading where little was loaded', () => {
    expect(loadOrCompute({ restoredTokens: 256, computedTokens: 9_744, firstTokenMs: 5_000 }, 10_000).notes).toEqual([])
  })

  it.each([
    ['the rate is not known', loaded, undefined],
    ['the engine reports no cached tokens', { ...loaded, restoredTokens: null, computedTokens: null }, 10_000],
  ])('knows nothing if %s', (_, measured, rate) => {
    expect(loadOrCompute(measured, rate)).toEqual({ computeMs: null, notes: [] })
  })

  it('keeps the time of an answer without text unblamed', () => {
    expect(loadOrCompute({ ...loaded, firstTokenMs: null }, 10_000)).toEqual({ computeMs: 1_000, notes: [] })
  })
})
