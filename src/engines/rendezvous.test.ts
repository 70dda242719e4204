// The properties of rendezvous hashing, with fixed keys, so each run gives the same numbers.

import { expect, it } from 'vitest'
import { ranked } from './rendezvous.ts'

const KEYS = Array.from({ length: 4_000 }, (_, n) => `key-${n}`)
const engines = (weights: readonly number[]) => weights.map((weight, n) => ({ id: `http://engine-${n}:8000`, weight }))
const firstOf = (key: string, weights: readonly number[]) => ranked(key, engines(weights))[0]?.id

/** Three standard deviations of how many of the keys have a property of probability `p`. */
const threeSigma = (p: number) => 3 * Math.sqrt(KEYS.length * p * (1 - p))

function sharesOf(weights: readonly number[]): number[] {
  const counts = weights.map(() => 0)
  for (const key of KEYS) {
    const at = engines(weights).findIndex(({ id }) => id === firstOf(key, weights))
    counts[at] = (counts[at] ?? 0) + 1
  }
  return counts
}

it('gives every engine its share of the keys', () => {
  for (const count of sharesOf([1, 1, 1, 1])) {
    expect(Math.abs(count - KEYS.length / 4)).toBeLessThan(threeSigma(1 / 4))
  }
})

it('gives an engine of three times the weight three times the keys', () => {
  const [light = 0, heavy = 0] = sharesOf([1, 3])

  expect(Math.abs(light - KEYS.length / 4)).toBeLessThan(threeSigma(1 / 4))
  expect(light + heavy).toBe(KEYS.length)
})

it('moves only the keys of an engine that goes, and spreads them over the others', () => {
  const before = engines([1, 1, 1, 1])
  const after = before.slice(0, 3)
  const moved = KEYS.filter((key) => ranked(key, before)[0] !== ranked(key, after)[0])

  expect(moved.every((key) => ranked(key, before)[0]?.id === 'http://engine-3:8000')).toBe(true)
  expect(moved.length).toBeLessThan(KEYS.length / 4 + threeSigma(1 / 4))
  for (const engine of after) {
    const gained = moved.filter((key) => ranked(key, after)[0] === engine).length
    expect(Math.abs(gained - moved.length / 3)).toBeLessThan(3 * Math.sqrt((moved.length * 2) / 9))
  }
})

it('moves keys only to an engine that comes, and no more than its share', () => {
  const moved = KEYS.filter((key) => firstOf(key, [1, 1, 1]) !== firstOf(key, [1, 1, 1, 1]))

  expect(moved.every((key) => firstOf(key, [1, 1, 1, 1]) === 'http://engine-3:8000')).toBe(true)
  expect(moved.length).toBeLessThan(KEYS.length / 4 + threeSigma(1 / 4))
})

it('ranks an engine without weight behind all others, and spreads keys over those if there are no others', () => {
  expect(KEYS.every((key) => ranked(key, engines([0, 1]))[1]?.id === 'http://engine-0:8000')).toBe(true)
  for (const count of sharesOf([0, 0])) expect(Math.abs(count - KEYS.length / 2)).toBeLessThan(threeSigma(1 / 2))
})

it('does not depend on the order of the engines', () => {
  const there = engines([1, 2, 3])

  expect(ranked('k', [...there].reverse())).toEqual(ranked('k', there))
})

it('ranks as it did in earlier versions, because placements that no store has must be the same on two of them', () => {
  expect(KEYS.slice(0, 8).map((key) => firstOf(key, [1, 1, 1])?.slice(7, 15))).toMatchInlineSnapshot(`
    [
      "engine-0",
      "engine-2",
      "engine-1",
      "engine-2",
      "engine-0",
      "engine-1",
      "engine-0",
      "engine-0",
    ]
  `)
})
