// Who shares KV with whom, by the engine's own cached_tokens.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, longText, measured, openai, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { engineUrl, forget } from './support/stack.ts'

const TOKENS = 1_200
let hop: Hop
let cwm: Cwm
let client: OpenAI

beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
  client = openai(cwm.url)
})

afterAll(async () => {
  await cwm.dispose()
  await hop.close()
})

const session = (id: string) => ({ headers: { 'x-cwm-session': id } })

describe('two sessions with one prompt', () => {
  it('share nothing, and the first finds its own KV again', async () => {
    const words = [user(longText('two sessions', TOKENS))]

    const a1 = await ask(client, words, session('a'))
    const b1 = await ask(client, words, session('b'))
    const a2 = await ask(client, [...words, a1.reply, user('and then?')], session('a'))

    measured('two sessions', { prompt: a1.promptTokens, a1: a1.cachedTokens, b1: b1.cachedTokens, a2: a2.cachedTokens })
    expect(a1.promptTokens).toBeGreaterThan(1_000)
    expect([a1.cwm.session, b1.cwm.session, a2.cwm.session]).toEqual(['a', 'b', 'a'])
    expect([a1.cachedTokens, b1.cachedTokens]).toEqual([0, 0])
    expect(a2.cachedTokens).toBeGreaterThan(1_000)
  })

  // The engine's own cache hides what LMCache would restore, so it is cleared here.
  it('share nothing in LMCache either', async () => {
    const words = [user(longText('two sessions in LMCache', TOKENS))]
    await ask(client, words, session('c'))
    await forget()

    const other = await ask(client, words, session('d'))
    await forget()
    const own = await ask(client, words, session('c'))

    expect(other.cachedTokens).toBe(0)
    expect(own.cachedTokens).toBeGreaterThanOrEqual(1_024)
  })

  it('share nothing when named by path', async () => {
    const words = [user(longText('two paths', TOKENS))]
    const [e, f] = ['e', 'f'].map((id) => openai(cwm.url, { path: `/cwm/s/${id}/v1` })) as [OpenAI, OpenAI]

    const e1 = await ask(e, words)
    const f1 = await ask(f, words)
    const e2 = await ask(e, [...words, e1.reply, user('and then?')])

    expect([e1.cwm.session, f1.cwm.session, e2.cwm.session]).toEqual(['e', 'f', 'e'])
    expect([e1.cachedTokens, f1.cachedTokens]).toEqual([0, 0])
    expect(e2.cachedTokens).toBeGreaterThan(1_000)
  })
})

describe('two API keys without any header', () => {
  it('share nothing, not even a session of the same name', async () => {
    const words = [user(longText('two keys', TOKENS))]
    const [one, two] = ['key-one', 'key-two'].map((key) => openai(cwm.url, { key })) as [OpenAI, OpenAI]

    const one1 = await ask(one, words)
    const two1 = await ask(two, words)
    const one2 = await ask(one, [...words, one1.reply, user('and then?')])
    const stolen = await ask(two, [...words, one1.reply, user('and then?')])
    const named = await ask(two, words, session(String(one1.cwm.session)))

    expect([one1.cachedTokens, two1.cachedTokens]).toEqual([0, 0])
    expect(one2.cwm.session).toBe(one1.cwm.session)
    expect(one2.cachedTokens).toBeGreaterThan(1_000)
    // Key two has its own first turn with the same text and reply, so its history belongs to its own session.
    expect(stolen.cwm.session).toBe(two1.cwm.session)
    expect(named.cachedTokens).toBe(0)
  })
})

describe("a client's cache_salt", () => {
  it("equal to another session's restores nothing of it", async () => {
    const words = [user(longText('salted', TOKENS))]
    await ask(client, words, session('victim'))
    const [salt] = hop.saltsOf('salted: ')
    expect(salt).toMatch(/^[\w-]{43}$/)

    const thief = await ask(client, words, { ...session('thief'), body: { cache_salt: salt } })
    const sameKeyNoName = await ask(client, words, { body: { cache_salt: salt } })
    const otherKey = await ask(openai(cwm.url, { key: 'key-thief' }), words, { body: { cache_salt: salt } })

    expect([thief, sameKeyNoName, otherKey].map((answer) => answer.cachedTokens)).toEqual([0, 0, 0])
    expect(hop.saltsOf('salted: ')).toHaveLength(4)
  })

  it('splits its own session, and finds each part again', async () => {
    const words = [user(longText('split', TOKENS))]

    await ask(client, words, { ...session('split'), body: { cache_salt: 'left' } })
    const right = await ask(client, words, { ...session('split'), body: { cache_salt: 'right' } })
    const left = await ask(client, words, { ...session('split'), body: { cache_salt: 'left' } })

    expect(right.cachedTokens).toBe(0)
    expect(left.cachedTokens).toBeGreaterThan(1_000)
  })
})

describe('by message prefix', () => {
  it('a conversation is one session over its turns, and another start is another session', async () => {
    const words = [user(longText('by prefix', TOKENS))]

    const first = await ask(client, words)
    const second = await ask(client, [...words, first.reply, user('and then?')])
    const third = await ask(client, [...words, first.reply, user('and then?'), second.reply, user('at last?')])
    const other = await ask(client, [user(longText('by prefix, but other', TOKENS))])

    expect(first.cachedTokens).toBe(0)
    expect([second.cwm.session, third.cwm.session]).toEqual([first.cwm.session, first.cwm.session])
    expect(second.cachedTokens).toBeGreaterThan(1_000)
    expect(third.cachedTokens).toBeGreaterThan(1_000)
    expect(other.cwm.session).not.toBe(first.cwm.session)
    expect(other.cachedTokens).toBe(0)
    expect(await cwm.session(String(first.cwm.session))).toMatchObject({ named: false, turns: 3 })
  })

  it('a regenerated turn stays in its session', async () => {
    const words = [user(longText('regenerated', TOKENS))]

    const first = await ask(client, words)
    const second = await ask(client, [...words, first.reply, user('left?')])
    const again = await ask(client, [...words, first.reply, user('right?')])

    expect([second.cwm.session, again.cwm.session]).toEqual([first.cwm.session, first.cwm.session])
    expect(again.cachedTokens).toBeGreaterThan(1_000)
  })

  // Same key, same text, and at temperature 0 the same reply: the next turn could belong to either session, so it belongs to neither.
  it('two strangers with the same first message and reply never meet', async () => {
    const words = [user(longText('strangers', TOKENS))]
    const a1 = await ask(client, words)
    const b1 = await ask(client, words)

    const a2 = await ask(client, [...words, a1.reply, user('I am Ann')])
    const b2 = await ask(client, [...words, b1.reply, user('I am Bob')])
    const a3 = await ask(client, [...words, a1.reply, user('I am Ann'), a2.reply, user('still Ann')])
    const b3 = await ask(client, [...words, b1.reply, user('I am Bob'), b2.reply, user('still Bob')])

    expect(b1.ids).toEqual(a1.ids)
    expect(new Set([a1, b1, a2, b2].map((answer) => answer.cwm.session)).size).toBe(4)
    expect([a1, b1, a2, b2].map((answer) => answer.cachedTokens)).toEqual([0, 0, 0, 0])
    expect([a3.cwm.session, b3.cwm.session]).toEqual([a2.cwm.session, b2.cwm.session])
    expect(a3.cachedTokens).toBeGreaterThan(1_000)
    expect(b3.cachedTokens).toBeGreaterThan(1_000)
  })
})

describe('a restart of the proxy', () => {
  it('changes no salt, named or found by prefix', async () => {
    const named = [user(longText('restart, named', TOKENS))]
    const found = [user(longText('restart, found', TOKENS))]
    const named1 = await ask(client, named, session('kept'))
    const found1 = await ask(client, found)

    await cwm.stop()
    cwm = await startCwm({ upstream: hop.url, dataDir: cwm.dataDir })
    client = openai(cwm.url)
    const named2 = await ask(client, [...named, named1.reply, user('and then?')], session('kept'))
    const found2 = await ask(client, [...found, found1.reply, user('and then?')])

    expect(found2.cwm.session).toBe(found1.cwm.session)
    expect(named2.cachedTokens).toBeGreaterThan(1_000)
    expect(found2.cachedTokens).toBeGreaterThan(1_000)
  })
})
