// Which prompts hit the cache, what survives a restart, and what `cached_tokens` reports.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { everywhere, idsOf, placed, sequence, warm } from './asks.ts'
import { field, longText, newSalt, openTarget, type Target } from './target.ts'

let target: Target

beforeAll(async () => {
  target = await openTarget()
})

afterAll(() => target?.close())

const PROMPT = 900

describe('a salt', () => {
  it('shares KV with itself, but with no other salt', async () => {
    const ids = await idsOf(target, longText(PROMPT * 2), PROMPT)
    const [own, other] = [newSalt(), newSalt()]

    const cold = await warm(target, ids, own)
    const again = await warm(target, ids, own)
    const foreign = await warm(target, ids, other)

    expect(cold).toBe(0)
    expect(foreign).toBe(0)
    expect(again).toBeGreaterThanOrEqual(Math.floor((PROMPT - 1) / target.blockSize) * target.blockSize)
    expect(again).toBeLessThan(PROMPT)
  })

  it('shares nothing with requests without a salt', async () => {
    const ids = await idsOf(target, longText(PROMPT * 2), PROMPT)
    await warm(target, ids, newSalt())

    const body = { model: target.model, prompt: ids, max_tokens: 1 }
    const { json } = await target.call('engine', 'POST', '/v1/completions', body)

    expect(field(json, 'usage.prompt_tokens_details.cached_tokens')).toBe(0)
  })
})

describe('restoring whole chunks', () => {
  // 900 tokens have three chunks of 256; the rest is recomputed.
  const atLeast = () => Math.floor(PROMPT / target.chunkSize) * target.chunkSize - target.chunkSize

  it('restores a sequence after the engine lost it', async () => {
    const ids = await idsOf(target, longText(PROMPT * 2), PROMPT)
    const salt = newSalt()
    await warm(target, ids, salt)
    await placed(target, sequence(target, ids, salt), everywhere(target))

    await target.call('engine', 'POST', '/reset_prefix_cache')
    const restored = await warm(target, ids, salt)

    expect(restored).toBeGreaterThanOrEqual(atLeast())
    expect(restored).toBeLessThan(PROMPT)
  })

  it('restores a sequence from L2 if L1 is lost too', async () => {
    const ids = await idsOf(target, longText(PROMPT * 2), PROMPT)
    const salt = newSalt()
    await warm(target, ids, salt)
    await placed(target, sequence(target, ids, salt), everywhere(target))

    await target.call('lmcache', 'POST', '/cache/clear', { tier: 'l1' })
    await target.call('engine', 'POST', '/reset_prefix_cache')
    const restored = await warm(target, ids, salt)

    expect(restored).toBeGreaterThanOrEqual(atLeast())
  })

  it('recomputes the last token if a prompt of whole chunks is restored completely', async () => {
    const count = target.chunkSize * 3
    const ids = await idsOf(target, longText(count * 2), count)
    const salt = newSalt()
    await warm(target, ids, salt)
    await placed(target, sequence(target, ids, salt), everywhere(target))

    await target.call('engine', 'POST', '/reset_prefix_cache')

    expect(await warm(target, ids, salt)).toBe(count - 1)
  })

  it('restores nothing for another salt', async () => {
    const ids = await idsOf(target, longText(PROMPT * 2), PROMPT)
    await warm(target, ids, newSalt())

    expect(await warm(target, ids, newSalt())).toBe(0)
  })
})

describe('usage', () => {
  // docs/engine-behavior.md#anthropic-usage
  it("adds up to the prompt in Anthropic's dialect", async () => {
    const cache_salt = newSalt()
    const messages = [{ role: 'user', content: longText(PROMPT) }]
    const count = await target.call('engine', 'POST', '/v1/messages/count_tokens', { model: target.model, messages })
    const body = { model: target.model, max_tokens: 2, cache_salt, messages }
    const prompt = field(count.json, 'input_tokens')

    for (const warmth of ['cold', 'warm']) {
      const { json } = await target.call('engine', 'POST', '/v1/messages', body)
      const parts = ['input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens']
      const [fresh = 0, read = 0, created = 0] = parts.map((name) => Number(field(json, `usage.${name}`)))

      expect(fresh + read + created).toBe(prompt)
      expect(read > 0).toBe(warmth === 'warm')
    }
  })
})

// docs/engine-behavior.md#billing-header
describe("Claude Code's billing header", () => {
  const header = (hash: string) => ({
    type: 'text',
    text: `x-anthropic-billing-header: cc_version=2.1; cch=${hash};`,
  })
  const count = async (body: object): Promise<unknown> => {
    const whole = { model: target.model, messages: [{ role: 'user', content: 'hi' }], ...body }
    return field((await target.call('engine', 'POST', '/v1/messages/count_tokens', whole)).json, 'input_tokens')
  }

  it('changes with each turn and keeps the next one warm', async () => {
    const cache_salt = newSalt()
    const instructions = { type: 'text', text: longText(PROMPT) }
    const turn = async (hash: string): Promise<number> => {
      const system = [header(hash), instructions]
      const body = { max_tokens: 2, cache_salt, system, messages: [{ role: 'user', content: 'hi' }] }
      const { json } = await target.call('engine', 'POST', '/v1/messages', { model: target.model, ...body })
      return Number(field(json, 'usage.cache_read_input_tokens'))
    }

    const [cold, warm] = [await turn('0a1b2'), await turn('9f8e7')]

    expect(cold).toBe(0)
    expect(warm).toBeGreaterThanOrEqual(PROMPT / 2)
  })

  it('is not part of the prompt if it is a system block', async () => {
    const block = { type: 'text', text: 'Be brief.' }
    const hi = { role: 'user', content: 'hi' }
    const plain = await count({ system: [block] })

    expect(await count({ system: [header('1'), block] })).toBe(plain)
    expect(await count({ system: [block, header('1')] })).toBe(plain)
    expect(await count({ system: [header('1')] })).toBe(await count({}))
    const none = { system: [block], messages: [hi, { role: 'system', content: header('1').text }] }
    expect(await count(none)).toBe(plain)
    const one = { system: [block], messages: [hi, { role: 'system', content: [header('1'), block] }] }
    expect(await count(one)).toBe(await count({ ...one, messages: [hi, { role: 'system', content: 'Be brief.' }] }))
  })

  it('is part of the prompt if the system prompt is a string, or if a user sends it', async () => {
    const { text } = header('1')

    expect(await count({ system: text })).toBeGreaterThan(Number(await count({})))
    const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })
    expect(await count(user([header('1')]))).toBe(await count(user(text)))
  })
})
