// First turns that are sent again. Their text does not identify the sender, so they need a conversation id of a known client.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

const BLOCK = 16
const A = '3f2b8c1e-9d47-4c5a-8b6f-0a1d2e3c4b5a'
const B = '7a1c9e2d-4b58-4f3e-9c0d-6e5f4a3b2c1d'
const opening = [user(prose(200, 'document'))]
const clients = {
  'Open WebUI': (id: string) => ({ headers: { 'x-openwebui-chat-id': id } }),
  'Claude Code': (id: string) => ({ headers: { 'x-claude-code-session-id': id } }),
  opencode: (id: string) => ({ headers: { 'x-session-affinity': id } }),
  'Codex, by prompt_cache_key': (id: string) => ({ body: { prompt_cache_key: id } }),
} as const

let stack: Stack
beforeEach(async () => {
  stack = await startStack()
})
afterEach(() => stack.close())

describe("a first turn with a client's own conversation id", () => {
  it.each(Object.entries(clients))('of %s continues its session, warm, when it is sent again', async (_, of) => {
    const first = await chat(stack.url, opening, of(A))
    const again = await chat(stack.url, opening, of(A))
    const other = await chat(stack.url, opening, of(B))

    expect(again.session).toBe(first.session)
    expect(again.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens - 2 * BLOCK)
    expect(other.session).not.toBe(first.session)
    expect(other.cachedTokens).toBe(0)
  })

  it('leads to the same session after a restart of cwm, where the chat continues', async () => {
    const first = await chat(stack.url, opening, clients['Open WebUI'](A))
    await stack.restart()
    const again = await chat(stack.url, opening, clients['Open WebUI'](A))

    const next = await chat(stack.url, [...opening, again.reply, user('go on')], clients['Open WebUI'](A))

    expect([again.session, next.session]).toEqual([first.session, first.session])
  })

  it('starts another session if its text differs', async () => {
    const first = await chat(stack.url, opening, clients['Open WebUI'](A))
    const title = await chat(stack.url, [user('Give this chat a title.')], clients['Open WebUI'](A))

    expect(title.session).not.toBe(first.session)
  })

  it('is one session for two concurrent requests', async () => {
    const turns = await Promise.all([1, 2, 3].map(() => chat(stack.url, opening, clients['Open WebUI'](A))))

    expect(new Set(turns.map(({ session }) => session)).size).toBe(1)
  })

  it('keeps its lineage if the first attempt was canceled before its answer', async () => {
    const slow = await startStack({ sim: { decodeTokensPerSecond: 20 } })
    try {
      const gone = new AbortController()
      const body = { model: 'sim-model', messages: opening, max_tokens: 40, temperature: 0, stream: true }
      const { headers } = clients['Open WebUI'](A)
      await ask(slow.url, '/v1/chat/completions', {
        body,
        headers,
        signal: gone.signal,
        onText: () => gone.abort(),
      }).catch(() => undefined)

      const again = await chat(slow.url, opening, { headers, body: { max_tokens: 1 } })

      expect(again.cachedTokens).toBeGreaterThanOrEqual(again.promptTokens - 2 * BLOCK)
    } finally {
      await slow.close()
    }
  })
})

describe('a first turn without such an id', () => {
  it.each([
    ['no id', {}],
    ['a constant shared by all temporary chats', { headers: { 'x-openwebui-chat-id': 'local' } }],
    ['one key for a whole app', { body: { prompt_cache_key: 'my-app-production' } }],
  ])('is a new session each time: %s', async (_, options) => {
    const first = await chat(stack.url, opening, options)
    const again = await chat(stack.url, opening, options)

    expect(again.session).not.toBe(first.session)
    expect(again.cachedTokens).toBe(0)
  })
})
