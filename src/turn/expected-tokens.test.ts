// What turns are expected to compute. How well this fits an engine's counts: test/e2e/rate-limits.test.ts.

import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { outgoingOf } from '../near-limit/outgoing.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import { statelessNeed, type TurnToRate, turnNeed } from './expected-tokens.ts'
import type { Found, FoundSession } from './find-session.ts'

const long = Array.from({ length: 1_000 }, (_, i) => `word${i}`).join(' ')
const user = (content: JsonValue) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })
const usage: Usage = { promptTokens: 4_000, completionTokens: 100, totalTokens: 4_100 }

const sessionOf = (found: Found, record: object = {}) => ({ found, session: { record } }) as unknown as FoundSession

function needOf(json: JsonObject, found: FoundSession, more: Partial<TurnToRate> = {}) {
  const rules = rulesOf('prompt' in json ? 'completions' : 'chat')
  const outgoing = outgoingOf(json, rules, undefined, undefined)
  return turnNeed({
    json,
    rules,
    found,
    base: undefined,
    isThawed: false,
    outgoing,
    cut: undefined,
    limit: 32_000,
    ...more,
  })
}

describe('the prompt', () => {
  it('of a new conversation is all of it, tools included', () => {
    const bare = needOf({ messages: [user(long)] }, sessionOf('new'))
    const tool = { type: 'function', function: { name: 'find', description: long } }
    const offered = needOf({ messages: [user(long)], tools: [tool] }, sessionOf('new'))

    expect(bare.cached).toBe(0)
    expect(bare.prompt).toBeGreaterThan(1_500)
    expect(bare.prompt).toBeLessThan(4_500)
    expect(offered.prompt).toBeGreaterThan(1.8 * bare.prompt)
  })

  it.each(['prefix', 'named'] as const)('of a continued session (%s) is what follows the last reply', (found) => {
    const json = { messages: [user(long), assistant('I see.'), user('And now?')] }

    const { prompt, cached } = needOf(json, sessionOf(found, { usage }))

    expect(cached).toBe(4_100)
    expect(prompt).toBeLessThan(20)
  })

  it('of a session without a finished turn, or whose request has no reply, is all of it', () => {
    const history = { messages: [user(long), assistant('I see.'), user('And now?')] }

    expect(needOf(history, sessionOf('named')).prompt).toBeGreaterThan(1_500)
    expect(needOf({ messages: [user(long)] }, sessionOf('named', { usage })).prompt).toBeGreaterThan(1_500)
  })

  it('behind a window that is thawed now is the client’s messages: what is restored is free', () => {
    const base = {
      tokenIds: new Uint32Array(9_000),
      record: { id: 'w' },
      prompt: { messages: [user(long)], shaping: {} },
    }
    const json = { messages: [user('Which word?')] }
    const window = base as unknown as BaseWindow
    const outgoing = outgoingOf(json, rulesOf('chat'), window, { kind: 'behind', skip: 0 } as never)

    const { prompt, cached } = needOf(json, sessionOf('named', { usage }), { base: window, isThawed: true, outgoing })

    expect([cached, prompt < 20]).toEqual([9_000, true])
  })

  it('after a new cut is computed anew', () => {
    const messages = [user('first'), assistant('one'), user(long), assistant('two'), user('now')]
    const cut = { digest: 'd', keep: [2, 3, 4], dropped: [0, 1] }

    const fresh = needOf({ messages }, sessionOf('named', { usage }), { cut })
    const same = needOf({ messages }, sessionOf('named', { usage, rollover: { cut: 'd' } }), { cut })

    expect([fresh.cached, fresh.prompt > 1_500]).toEqual([0, true])
    expect([same.cached, same.prompt < 20]).toEqual([4_100, true])
  })

  it('with an image counts it as an image, not as its bytes', () => {
    const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(100_000)}` } }

    expect(needOf({ messages: [user([image])] }, sessionOf('new')).prompt).toBeLessThan(1_100)
  })

  it('of a continued stored response is the new items', () => {
    const { prompt, cached } = needOf({ messages: [user('And now?')] }, sessionOf('response', { usage }), {
      outgoing: undefined,
    })

    expect([cached, prompt < 20]).toEqual([4_100, true])
  })

  it('of completions is the text or the ids, without what the session had', () => {
    const ids = { prompt: Array.from({ length: 5_000 }, (_, i) => i) }

    expect(needOf(ids, sessionOf('new'))).toMatchObject({ cached: 0, prompt: 5_000 })
    expect(needOf(ids, sessionOf('named', { usage }))).toMatchObject({ cached: 4_100, prompt: 900 })
  })
})

describe('the answer', () => {
  const answerOf = (more: JsonObject, limit?: number) =>
    needOf({ messages: [user('hi')], ...more }, sessionOf('new'), { limit }).answer

  it('is the smaller of max_tokens and the reserve, for each choice', () => {
    expect([answerOf({ max_tokens: 30 }), answerOf({}), answerOf({ max_tokens: 9_000 })]).toEqual([30, 1_024, 1_024])
    expect([answerOf({}, 2_048), answerOf({ max_tokens: 30, n: 3 })]).toEqual([256, 90])
  })
})

describe('requests without a session', () => {
  it('are expected to compute their texts, and ids one by one', () => {
    expect(statelessNeed({ model: long, input: ['two words', [1, 2, 3]] })).toMatchObject({ cached: 0, answer: 0 })
    expect(statelessNeed({ input: [[1, 2, 3]] }).prompt).toBe(3)
    expect(statelessNeed({ input: long }).prompt).toBeGreaterThan(1_500)
  })

  it('answer each conversation of a batch', () => {
    const messages = [[user('a')], [user('b')]]

    expect(statelessNeed({ messages }).answer).toBe(2_048)
    expect(statelessNeed({ messages, max_tokens: 5 }).answer).toBe(10)
    // It would let other requests through.
    expect(statelessNeed({ messages, max_tokens: -1_000_000 }).answer).toBe(2_048)
    expect(statelessNeed({ input: 'x', max_tokens: -1_000_000 }).answer).toBe(0)
  })
})
