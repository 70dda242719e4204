// The size of a turn after a window: a forwarded turn had its reserve free, whatever is known about window and history.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorOf } from '../support/client.ts'
import { askChat, assistant, chat, prose, user } from '../support/conversation.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const LIMIT = 1024
const RESERVE = 128

let stack: Stack
beforeAll(async () => {
  stack = await startStack({
    sim: { maxModelLen: LIMIT, images: true },
    settings: { overflow: 'reject', freeze_at: 0 },
  })
})
afterAll(() => stack.close())

const inSession = (session: string, headers: Record<string, string> = {}) => ({
  headers: { 'x-cwm-session': session, ...headers },
})
/** Requests the whole reserve. */
const atLength = (session: string, headers: Record<string, string> = {}) => ({
  ...inSession(session, headers),
  body: { max_tokens: 500 },
})

const countsTokenized = () => stack.sim.requests.all('engine').filter(({ path }) => path === '/tokenize').length

describe('a window thawed before a history whose size without it is known', () => {
  it('is counted together with the history', async () => {
    const big = await chat(stack.url, [user(prose(355))], inSession('author'))
    await rest(stack.url, 'POST', '/windows', { name: 'big', session_id: 'author' })
    const first = await chat(stack.url, [user(prose(90))], inSession('ann'))
    const history = [user(prose(90)), first.reply, user('And then?')]
    expect(big.promptTokens + first.promptTokens).toBeGreaterThan(LIMIT - RESERVE)
    expect(big.promptTokens + first.promptTokens).toBeLessThan(LIMIT - 60)

    await rest(stack.url, 'POST', '/windows/big/thaw', { session_id: 'ann', replace: true })
    const got = await askChat(stack.url, history, atLength('ann'))

    expect(got.headers['x-cwm-context']).toBeUndefined()
    expect(errorOf(got).code).toBe('context_length_exceeded')
  })
})

describe('the size of a window', () => {
  it('is read from its ids once a thaw has verified them, without the tokenizer', async () => {
    await chat(stack.url, [user(prose(200))], inSession('writer'))
    await rest(stack.url, 'POST', '/windows', { name: 'draft', session_id: 'writer' })
    await rest(stack.url, 'POST', '/windows/draft/thaw', { session_id: 'reader' })
    const before = countsTokenized()

    const { promptTokens } = await chat(stack.url, [user('Who wrote it?')], inSession('reader'))

    expect(promptTokens).toBeGreaterThan(250)
    expect(countsTokenized()).toBe(before)
  })

  it('is not that of its ids if they end before an image', async () => {
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    const seen = { role: 'user', content: [picture, { type: 'text', text: prose(380) }] }
    const { promptTokens } = await chat(
      stack.url,
      [user('Look at this.'), assistant('Yes?'), seen],
      inSession('painter'),
    )
    await rest(stack.url, 'POST', '/windows', { name: 'picture', session_id: 'painter' })
    await rest(stack.url, 'POST', '/windows/picture/thaw', { session_id: 'visitor' })
    const asked = user(prose(40))
    expect(promptTokens).toBeGreaterThan(LIMIT - RESERVE - 100)
    expect(promptTokens).toBeLessThan(LIMIT - RESERVE)

    const got = await askChat(stack.url, [asked], atLength('visitor'))

    expect(got.headers['x-cwm-context']).toBeUndefined()
    expect(errorOf(got).code).toBe('context_length_exceeded')
  })

  it('is not that of its ids if they end before a message that was unanswered at the cut', async () => {
    const answered = user(prose(150))
    const { reply } = await chat(stack.url, [answered], inSession('clerk'))
    const since = Array.from({ length: 8 }, (_, i) => [user(`${i} ${prose(40)}`), assistant(prose(20))]).flat()
    const { got } = await chat(
      stack.url,
      [answered, reply, ...since, user('Go on.')],
      inSession('clerk', { 'x-cwm-overflow': 'rollover' }),
    )
    const { name, receipt, messages } = await settled(stack.url, String(got.headers['x-cwm-rollover']))
    expect(messages).toBeGreaterThan(8)
    expect(receipt?.tokens).toBeLessThan(500)
    await rest(stack.url, 'POST', `/windows/${name}/thaw`, { session_id: 'successor' })

    const behind = await askChat(stack.url, [user(prose(60))], atLength('successor'))

    expect(behind.headers['x-cwm-context']).toBeUndefined()
    expect(errorOf(behind).code).toBe('context_length_exceeded')
  })
})
