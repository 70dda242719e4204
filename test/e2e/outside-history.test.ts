// Prompt parts outside the history (tools, documents, template arguments). docs/isolation.md explains why sharing is harmless.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, prose, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

const tool = (description: string) => ({
  tools: [
    { type: 'function', function: { name: 'find', description, parameters: { type: 'object', properties: {} } } },
  ],
})

describe('two requests with one history and different tools', () => {
  it('are one session, each with its own tools, and share only the KV of equal tokens', async () => {
    const words = [user(`Find it. ${prose(400)}`)]
    const first = await chat(stack.url, words, { body: tool('The secret of the first.') })
    const next = [...words, first.reply, user('go on')]

    const other = await chat(stack.url, next, { body: tool('Of the second.') })
    const sent = stack.sim.requests.last('engine')?.body.toString()
    const same = await chat(stack.url, next, { body: tool('The secret of the first.') })

    expect([other.session, same.session]).toEqual([first.session, first.session])
    expect(sent).toContain('Of the second.')
    expect(sent).not.toContain('The secret of the first.')
    // The simulator renders tools first, like templates, so everything after other tools has other KV.
    expect(other.cachedTokens).toBeLessThan(100)
    expect(same.cachedTokens).toBeGreaterThan(400)
  })

  it('are two sessions for anyone without the reply, or with another user', async () => {
    const words = [user(`Ask it. ${prose(50)}`)]
    const first = await chat(stack.url, words, { body: { user: 'ann', ...tool('a') } })
    const guessed = [...words, { role: 'assistant', content: 'A guess.' }, user('go on')]

    const stranger = await chat(stack.url, guessed, { body: { user: 'ann', ...tool('a') } })
    const other = await chat(stack.url, [...words, first.reply, user('go on')], { body: { user: 'bob', ...tool('a') } })

    expect(stranger.session).not.toBe(first.session)
    expect(other.session).not.toBe(first.session)
  })
})
