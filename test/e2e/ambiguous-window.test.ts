// Two clients that thawed one window, sent the same question and got the same reply. Their text does not distinguish them, also from a
// client without a window. No window may be dropped silently.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorOf } from '../support/client.ts'
import { askChat, chat, prose, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let stack: Stack

beforeEach(async () => {
  stack = await startStack()
  await chat(stack.url, [user(`${prose(400)}. The code word is larch.`)], { headers: { 'x-cwm-freeze': 'book' } })
  await settled(stack.url, 'book')
})

afterEach(() => stack.close())

const question = user('What is the code word?')
const inBook = { headers: { 'x-cwm-window': 'book' } }

describe('two clients with the same question to a window', () => {
  it('continue it in sessions of their own, by naming it again', async () => {
    const first = await chat(stack.url, [question], inBook)
    const other = await chat(stack.url, [question], inBook)
    const history = [question, first.reply, user('And again?')]

    const mine = await chat(stack.url, history, inBook)
    const theirs = await chat(stack.url, history, inBook)

    expect(new Set([first, other, mine, theirs].map((turn) => turn.session)).size).toBe(4)
    expect([mine, theirs].map((turn) => turn.got.headers['x-cwm-window'])).toEqual(['book', 'book'])
    expect(mine.promptTokens).toBeGreaterThan(first.promptTokens)
  })

  it('get an error if they name nothing, instead of an answer without the window', async () => {
    const first = await chat(stack.url, [question], inBook)
    await chat(stack.url, [question], inBook)

    const got = await askChat(stack.url, [question, first.reply, user('And again?')])

    expect(got.status).toBe(409)
    expect(errorOf(got)).toMatchObject({ code: 'session_ambiguous', param: 'x-cwm-session' })
  })

  it('continue by name as before', async () => {
    const first = await chat(stack.url, [question], { headers: { 'x-cwm-window': 'book', 'x-cwm-session': 'one' } })
    await chat(stack.url, [question], { headers: { 'x-cwm-window': 'book', 'x-cwm-session': 'two' } })

    const again = await chat(stack.url, [question, first.reply, user('And again?')], {
      headers: { 'x-cwm-session': 'one' },
    })

    expect(again.got.headers['x-cwm-window']).toBe('book')
  })
})

describe('a single client of a window', () => {
  it('continues without naming it again', async () => {
    const first = await chat(stack.url, [question], inBook)

    const next = await chat(stack.url, [question, first.reply, user('And again?')])

    expect(next.session).toBe(first.session)
    expect(next.got.headers['x-cwm-window']).toBe('book')
  })
})
