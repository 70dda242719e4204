import { expect, it } from 'vitest'
import { median, percentile, ratiosOf } from './stats.mjs'

const hundred = Array.from({ length: 100 }, (_, n) => n + 1)

it('uses the nearest rank for a percentile', () => {
  expect(percentile(hundred, 0.5)).toBe(50)
  expect(percentile(hundred, 0.99)).toBe(99)
  expect(percentile([7], 0.99)).toBe(7)
  expect(percentile([], 0.5)).toBeUndefined()
})

it('uses the middle of an odd number of rounds, and the mean of the middle two of an even one', () => {
  expect(median([10, 1, 3])).toBe(3)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([undefined, 5])).toBe(5)
  expect(median([])).toBeUndefined()
})

it('computes ratios within rounds, and skips a round that lacks one side', () => {
  expect(ratiosOf([2, 40, 9], [1, 10, undefined])).toEqual([2, 4])
})
