import { expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { typicalTokens } from '../context/typical.ts'
import { TokenScales } from './token-scale.ts'

const noKey = undefined

/** An engine whose tokenizer makes that many times the typical number of tokens; it keeps what it was asked. */
function engineOf(ratioOf: (text: string) => number | undefined) {
  const asked: string[] = []
  const textIds = async (model: string, text: string) => {
    asked.push(model)
    const ratio = ratioOf(text)
    return ratio === undefined ? undefined : new Uint32Array(Math.round(typicalTokens(text) * ratio))
  }
  return { asked, textIds }
}

it.each([
  [0.6, 1],
  [0.95, 1],
  [1.1, 1.25],
  [1.6, 2],
  [3.4, 4],
  [11, 8],
])('a tokenizer that counts %d times as much has the scale %d', async (ratio, scale) => {
  expect(await new TokenScales(engineOf(() => ratio)).of('m', noKey)).toBe(scale)
})

it('the text that fares worst decides', async () => {
  const engine = engineOf((text) => (text.startsWith('{') ? 1.9 : 0.8))

  expect(await new TokenScales(engine).of('m', noKey)).toBe(2)
})

it('a model is asked for once, however many wait', async () => {
  const engine = engineOf(() => 1)
  const scales = new TokenScales(engine)

  const together = await Promise.all([scales.of('m', noKey), scales.of('m', noKey)])
  const asked = engine.asked.length
  await scales.of('m', 'another key')

  expect(together).toEqual([1, 1])
  expect(engine.asked.length).toBe(asked)
  await scales.of('other', noKey)
  expect(engine.asked.length).toBe(2 * asked)
})

it('a failure is thrown, and the next call asks again', async () => {
  let fails = true
  const engine = engineOf(() => {
    if (fails) throw new CwmError('UPSTREAM_REFUSED', 'nobody there')
    return 1.3
  })
  const scales = new TokenScales(engine)

  await expect(scales.of('m', noKey)).rejects.toMatchObject({ code: 'UPSTREAM_REFUSED' })
  fails = false

  expect(await scales.of('m', noKey)).toBe(1.5)
})

it('an engine that cannot count has the scale 1', async () => {
  expect(await new TokenScales(engineOf(() => undefined)).of('m', noKey)).toBe(1)
})
