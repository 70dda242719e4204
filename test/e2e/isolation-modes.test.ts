// The wider isolation modes: how users are identified, which sessions a mode applies to, and what a delete does.

import { afterEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import { ask, jsonOf } from '../support/client.ts'
import { chat, prose, saltsIn, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const CHAT = '/v1/chat/completions'
let stack: Stack
afterEach(() => stack.close())

const start = async (settings: Partial<Settings>): Promise<void> => {
  stack = await startStack({ settings })
}
const forget = () => ask(stack.sim.engineUrl, '/reset_prefix_cache', { method: 'POST' })

/** The salt of a turn that starts a session. */
async function saltOf(body: object, headers: Record<string, string> = {}, path = CHAT): Promise<string> {
  const got = await ask(stack.url, path, {
    body: { model: 'sim-model', messages: [user('hi')], max_tokens: 2, ...body },
    headers,
  })
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  const sent = stack.sim.requests.all('engine').findLast(({ method }) => method === 'POST')
  return saltsIn(sent?.body ?? Buffer.alloc(0))[0] ?? ''
}

describe('the user of a request', () => {
  it("is found in any of the field's names, and in every dialect", async () => {
    await start({ isolation: 'user' })

    const salts = [
      await saltOf({ user: 'ann' }),
      await saltOf({ safety_identifier: 'ann' }),
      await saltOf({ metadata: { user_id: 'ann' } }),
      await saltOf({ metadata: { user_id: 'ann' } }, {}, '/v1/messages'),
      await saltOf({ input: 'hi', messages: undefined, max_tokens: undefined, user: 'ann' }, {}, '/v1/responses'),
      await saltOf({ prompt: 'hi', messages: undefined, user: 'ann' }, {}, '/v1/completions'),
    ]

    expect(new Set(salts).size).toBe(1)
  })

  // Stored as UTF-8, both would be one user with one KV.
  it('differs for any other text, including lone surrogates and other types', async () => {
    await start({ isolation: 'user' })

    const salts = [
      await saltOf({ user: 'ann' }),
      await saltOf({ user: 'Ann' }),
      await saltOf({ user: 'ann ' }),
      await saltOf({ user: 'tenant' }),
      await saltOf({ user: '' }),
      await saltOf({ user: 7 }),
      await saltOf({ user: ['ann'] }),
      await saltOf({ user: '\ud800' }),
      await saltOf({ user: '\ud801' }),
    ]

    expect(new Set(salts).size).toBe(salts.length)
  })

  it('of a session is the one who started it, whoever continues it', async () => {
    await start({ isolation: 'user' })
    const ann = await saltOf({ user: 'ann' })

    const begun = await saltOf({ user: 'ann' }, { 'x-cwm-session': 'desk' })
    const later = await saltOf({ user: 'bob' }, { 'x-cwm-session': 'desk' })

    expect([begun, later]).toEqual([ann, ann])
  })
})

describe('a mode', () => {
  it('is the tenant’s own if its entry sets one', async () => {
    const keys = (name: string) => [{ name: 'main', sha256: keyHash(`key-of-${name}`) }]
    await start({
      tenants: [
        { id: 'wide', keys: keys('wide'), isolation: 'tenant' },
        { id: 'narrow', keys: keys('narrow') },
      ],
    })
    const by = (name: string) => saltOf({}, { authorization: `Bearer key-of-${name}` })

    const [wide, narrow] = [
      [await by('wide'), await by('wide')],
      [await by('narrow'), await by('narrow')],
    ]

    expect(new Set(wide).size).toBe(1)
    expect(new Set(narrow).size).toBe(2)
    expect(narrow).not.toContain(wide[0])
  })

  it('survives a restart, and applies to sessions started after it was set', async () => {
    await start({ isolation: 'tenant' })
    const before = await saltOf({}, { 'x-cwm-session': 'old' })
    await stack.restart()
    const again = await saltOf({})

    await stack.restart({ isolation: 'session' })
    const old = await saltOf({}, { 'x-cwm-session': 'old' })
    const fresh = await saltOf({})

    expect([again, old]).toEqual([before, before])
    expect(fresh).not.toBe(before)
  })
})

describe.each(['user', 'tenant'] as const)('a delete in the mode %s', (isolation) => {
  const words = [user(`Shared by all. ${prose(600)}`)]
  const mine = { user: 'ann' }

  it('removes text and pin, and keeps what others share', async () => {
    await start({ isolation })
    await chat(stack.url, words, { body: mine, headers: { 'x-cwm-session': 'one', 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')

    const window = jsonOf(await ask(stack.url, '/cwm/v1/windows/w', { method: 'DELETE' }))
    const session = jsonOf(await ask(stack.url, '/cwm/v1/sessions/one', { method: 'DELETE' }))
    await forget()
    const next = await chat(stack.url, words, { body: mine })

    expect(window).toMatchObject({ kept_for: ['isolation'], unpinned: true, deleted_chunks: 0, lineage_retired: false })
    expect(session).toMatchObject({ kept_for: ['isolation'], deleted_chunks: 0, lineage_retired: false })
    expect(next.cachedTokens).toBeGreaterThan(500)
  })

  it('of the whole tenant removes the shared KV as well, and its salt is never used again', async () => {
    await start({ isolation })
    await chat(stack.url, words, { body: mine, headers: { 'x-cwm-session': 'one', 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')
    const before = await saltOf({ ...mine, messages: words })
    await until('the directory shows the chunks', async () => (await placements(before)) > 0)

    await ask(stack.url, '/cwm/v1/tenants/me', { method: 'DELETE' })
    await forget()
    const after = await saltOf({ ...mine, messages: words })

    expect(after).not.toBe(before)
    await until('the directory shows none', async () => (await placements(before)) === 0)
  })
})

describe('a delete in the mode session', () => {
  it('removes the chunks with their last holder', async () => {
    await start({})
    const words = [user(`Mine alone. ${prose(600)}`)]
    await chat(stack.url, words, { headers: { 'x-cwm-session': 'one', 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')

    const window = jsonOf(await ask(stack.url, '/cwm/v1/windows/w', { method: 'DELETE' }))
    const session = jsonOf(await ask(stack.url, '/cwm/v1/sessions/one', { method: 'DELETE' }))

    expect(window).toMatchObject({ kept_for: ['session'], lineage_retired: false })
    expect(session).toMatchObject({ kept_for: [], residual_chunks: 0, lineage_retired: true })
    expect(session.deleted_chunks).toBeGreaterThan(1)
  })
})

/** Chunk placements in the directory for the text above, under a salt. */
async function placements(salt: string): Promise<number> {
  const messages = [user(`Shared by all. ${prose(600)}`)]
  const { tokens } = jsonOf<{ tokens: number[] }>(
    await ask(stack.sim.engineUrl, '/tokenize', { body: { model: 'sim-model', messages } }),
  )
  const body = { token_ids: tokens, model_name: stack.sim.root, world_size: 1, cache_salt: salt }
  const { results } = jsonOf<{ results: { placements: unknown[] }[] }>(
    await ask(stack.sim.coordinatorUrl, '/directory/lookup', { body }),
  )
  return results.reduce((sum, { placements }) => sum + placements.length, 0)
}
