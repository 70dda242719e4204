import { expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import { BlockScales } from './block-scales.ts'

/** Messages of ten estimated tokens each, in blocks of three. `ratios` is the engine's count per block relative to the estimate. */
function ask(length: number, ratios: readonly (number | undefined)[], scales = new BlockScales(Date.now)) {
  const counted: number[] = []
  const messages = Array.from({ length }, (_, i) => i)
  const factors = scales.of({
    messages,
    blockTokens: 30,
    estimate: () => 10,
    keyOf: (block) => JSON.stringify(block),
    ratioOf: (block: readonly JsonValue[]) => {
      const at = Math.floor(Number(block[0]) / 3)
      counted.push(at)
      return Promise.resolve(ratios[at])
    },
  })
  return { factors, counted }
}

it('scales each block by the ratio of the previous one, and the first by its own', async () => {
  expect(await ask(10, [2, 1, 4]).factors).toEqual([
    ...[2.125, 2.125, 2.125],
    ...[2.125, 2.125, 2.125],
    ...[1.0625, 1.0625, 1.0625],
    4.25,
  ])
})

it('gives a longer history the factors of a shorter one', async () => {
  const long = await ask(30, [2, 1, 4, 3, 2, 1, 1, 2, 3, 2]).factors

  for (let length = 3; length < 30; length++) {
    expect(await ask(length, [2, 1, 4, 3, 2, 1, 1, 2, 3, 2]).factors).toEqual(long.slice(0, length))
  }
})

it('counts each block once', async () => {
  const scales = new BlockScales(Date.now)
  await ask(9, [1, 1, 1], scales).factors

  const again = ask(12, [1, 1, 1, 1], scales)
  await again.factors

  expect(again.counted).toEqual([3])
})

it('keeps the last factor for a block that cannot be counted, and uses 1 if none could be counted', async () => {
  expect(await ask(9, [2, undefined, 1]).factors).toEqual(Array<number>(9).fill(2.125))
  expect(await ask(9, [undefined, undefined, undefined]).factors).toEqual(Array<number>(9).fill(1))
  expect(await ask(2, []).factors).toEqual([1, 1])
})

it('does not cache a failure: the next call counts again and gets the same factors', async () => {
  const scales = new BlockScales(Date.now)
  const asked = {
    messages: [0, 1, 2],
    blockTokens: 30,
    estimate: () => 10,
    keyOf: (block: unknown) => JSON.stringify(block),
  }

  await expect(scales.of({ ...asked, ratioOf: () => Promise.reject(new Error('not now')) })).rejects.toThrow('not now')

  expect(await scales.of({ ...asked, ratioOf: () => Promise.resolve(2) })).toEqual([2.125, 2.125, 2.125])
})

it('retries an uncountable block after a minute, because the engine may have been restarted', async () => {
  let at = 1_000
  const scales = new BlockScales(() => at)
  const factors = (ratio: number | undefined) => ask(3, [ratio], scales).factors
  await factors(undefined)
  const soon = await factors(2)

  at += 61_000

  expect(soon).toEqual([1, 1, 1])
  expect(await factors(2)).toEqual([2.125, 2.125, 2.125])
})
