import { expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { typicalTokens, UNSCALED } from '../limits/typical.ts'
import { rejectionOf } from './json.ts'
import { TokenScales } from './token-scale.ts'

const noKey = undefined

/** An engine whose tokenizer returns this multiple of the typical number of tokens. Records its calls. */
function engineOf(ratioOf: (text: string) => number | undefined) {
  const asked: string[] = []
  const countText = async (model: string, text: string) => {
    asked.push(model)
    const ratio = ratioOf(text)
    return ratio === undefined ? undefined : Math.round(typicalTokens(text) * ratio)
  }
  return { asked, countText }
}

it.each([
  [0.6, 1],
  [0.95, 1],
  [1.1, 1.25],
  [1.6, 2],
  [3.4, 4],
  [11, 8],
])('a tokenizer that counts %d times as much has the scale %d', async (ratio, scale) => {
  expect(
    await new TokenScales().of(
      engineOf(() => ratio),
      'm',
      noKey,
    ),
  ).toEqual({ ascii: scale, beyond: scale })
})

it('the text with the highest ratio decides, separately for ASCII and other texts', async () => {
  const engine = engineOf((text) => (text.startsWith('{') ? 1.9 : text.startsWith('Л') ? 2.8 : 0.8))

  expect(await new TokenScales().of(engine, 'm', noKey)).toEqual({ ascii: 2, beyond: 3 })
})

it('a model is measured once for any number of waiting calls', async () => {
  const engine = engineOf(() => 1)
  const scales = new TokenScales()

  const together = await Promise.all([scales.of(engine, 'm', noKey), scales.of(engine, 'm', noKey)])
  const asked = engine.asked.length
  await scales.of(engine, 'm', 'another key')

  expect(together).toEqual([UNSCALED, UNSCALED])
  expect(engine.asked.length).toBe(asked)
  await scales.of(engine, 'other', noKey)
  expect(engine.asked.length).toBe(2 * asked)
})

it('a failure is thrown, and the next call measures again', async () => {
  let fails = true
  const engine = engineOf(() => {
    if (fails) throw new CwmError('UPSTREAM_REFUSED', 'nobody there')
    return 1.3
  })
  const scales = new TokenScales()

  await expect(scales.of(engine, 'm', noKey)).rejects.toMatchObject({ code: 'UPSTREAM_REFUSED' })
  fails = false

  expect(await scales.of(engine, 'm', noKey)).toEqual({ ascii: 1.5, beyond: 1.5 })
})

it('an engine that cannot count is not scaled', async () => {
  expect(
    await new TokenScales().of(
      engineOf(() => undefined),
      'm',
      noKey,
    ),
  ).toEqual(UNSCALED)
})

it.each([400, 403, 501])(
  'an engine that answers %d to every text is not scaled: it would say so again',
  async (status) => {
    const engine = engineOf(() => {
      throw rejectionOf('/tokenize', { status, body: {} })
    })

    expect(await new TokenScales().of(engine, 'm', noKey)).toEqual(UNSCALED)
  },
)

it.each([401, 429, 500, 503])(
  '%d is no word on the tokenizer: it is thrown, and the next call asks again',
  async (status) => {
    let fails = true
    const engine = engineOf(() => {
      if (fails) throw rejectionOf('/tokenize', { status, body: {} })
      return 1.3
    })
    const scales = new TokenScales()

    await expect(scales.of(engine, 'm', noKey)).rejects.toMatchObject({ code: 'UPSTREAM_REJECTED' })
    fails = false

    expect(await scales.of(engine, 'm', noKey)).toEqual({ ascii: 1.5, beyond: 1.5 })
  },
)
