import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import type { Engine } from '../engines/engine.ts'
import { PartCutter } from './part-cutter.ts'

/** What the chat template adds. */
const FRAME = 12

/** An engine whose tokenizer takes a token for each character of a kind, and one for each word of the others. */
function cutterOf(costly: RegExp, counted: string[] = []): PartCutter {
  const count = (text: string) => text.split(/\s+/).length + [...text.matchAll(costly)].length
  const countTokens = async ({ messages }: Prompt) => {
    const texts = messages.map((message) => String((message as JsonObject).content))
    counted.push(texts[0] ?? '')
    return FRAME + texts.reduce((sum, text) => sum + count(text), 0)
  }
  const engine = { countTokens } as unknown as Engine
  return new PartCutter({ fleet: { pick: () => engine }, scales: { of: async () => ({ ascii: 1, beyond: 1 }) } })
}

const request = { model: 'm', tokensPerWindow: 300, kept: [] }
const options = { apiKey: undefined }
const given = (text: string, title = '') => ({ title, text, format: 'markdown' as const })

describe('a cut text', () => {
  it.each([
    ['prose', /never/g, 'The harbor opens at six, and the scales are out.\n\n'.repeat(200)],
    ['a text that its estimate takes for half as large', /[a-z]/g, 'letters take tokens here\n\n'.repeat(200)],
    ['one word', /x/g, 'x'.repeat(5_000)],
    ['one costly line', /[\p{L}]/gu, 'д '.repeat(3_000)],
  ])('has no part above the number of tokens: %s', async (_, costly, text) => {
    const parts = await cutterOf(costly).cut(given(text), request, options)

    expect(parts.map((part) => part.text).join('')).toBe(text)
    expect(Math.max(...parts.map(({ tokens }) => tokens))).toBeLessThanOrEqual(300)
    expect(parts.length).toBeGreaterThan(1)
  })

  it('is counted as the whole window, title included', async () => {
    const counted: string[] = []

    const [part] = await cutterOf(/never/g, counted).cut(given('one two three', 'Law'), request, options)

    expect(counted.at(-1)).toBe('From "Law":\n\none two three')
    expect(part?.tokens).toBe(FRAME + 5 + 5)
  })

  it('does not count again what it has already', async () => {
    const text = 'The harbor opens at six, and the scales are out.\n\n'.repeat(200)
    const counted: string[] = []
    const cutter = cutterOf(/never/g, counted)
    const kept = await cutter.cut(given(text), request, options)
    const before = counted.length

    await cutter.cut(given(`${text}The last line.\n`), { ...request, kept }, options)

    // The frame, and the last part.
    expect(counted.length - before).toBe(2)
  })

  it('is refused if its title leaves no room', async () => {
    const cut = cutterOf(/never/g).cut(given('text', 'word '.repeat(300)), request, options)

    await expect(cut).rejects.toMatchObject({ code: 'INVALID_FIELD', param: 'tokens_per_window' })
  })

  it('is refused if the engine cannot count', async () => {
    const engine = { countTokens: async () => undefined } as unknown as Engine
    const scales = { of: async () => ({ ascii: 1, beyond: 1 }) }
    const cutter = new PartCutter({ fleet: { pick: () => engine }, scales })

    await expect(cutter.cut(given('text'), request, options)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
  })
})
