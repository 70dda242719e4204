// Clients that change old messages: agents clear old tool results, chat apps edit, Claude Code drops messages of its own. The session is
// found by the unchanged messages before the change, so the engine still has their KV.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ChatMessage, type ChatTurn, chat, prose, system, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const BLOCK = 16

let stack: Stack
beforeEach(async () => {
  stack = await startStack()
})
afterEach(() => stack.close())

/** The same request to cwm, and directly to the engine under its own salt. */
async function both(messages: readonly ChatMessage[]): Promise<{ turn: ChatTurn; alone: ChatTurn }> {
  const turn = await chat(stack.url, messages)
  return { turn, alone: await chat(stack.sim.engineUrl, messages, { body: { cache_salt: 'alone' } }) }
}

/** A chat of this many turns, with the start of its next request. */
async function chatted(turns: number, words: number, opening: readonly ChatMessage[] = []) {
  let history = opening
  let session = ''
  for (let n = 0; n < turns; n++) {
    history = [...history, user(prose(words, `question${n}`))]
    const { turn } = await both(history)
    history = [...history, turn.reply]
    session = turn.session
  }
  return { history: [...history, user('and now?')], session }
}

describe('an unnamed chat of thirty turns', () => {
  it('is as warm as on the engine alone, whichever message was replaced', async () => {
    const { history, session } = await chatted(30, 15)
    expect(history).toHaveLength(61)

    for (const place of [47, 43, 30, 17, 9, 4, 2]) {
      const { turn, alone } = await both(history.with(place, { role: history[place]?.role ?? '', content: 'cleared' }))

      expect([place, turn.session]).toEqual([place, session])
      expect(alone.cachedTokens).toBeGreaterThan(0)
      expect([place, turn.cachedTokens]).toEqual([place, alone.cachedTokens])
    }
  }, 30_000)

  it('reports under its own session why the turn was cold: the replaced message', async () => {
    const { history, session } = await chatted(30, 40)

    await chat(stack.url, history.with(10, user('cleared')))

    const told = await until('a break is told', async () => {
      const { prefix_break: found } = await rest<{ prefix_break?: { cause: string; message?: number } }>(
        stack.url,
        'GET',
        `/sessions/${session}`,
      )
      return found
    })
    expect(told).toMatchObject({ cause: 'message', message: 10 })
  }, 30_000)

  it('continues after the edit and before it, in one session', async () => {
    const { history, session } = await chatted(12, 15)
    const edited = history.with(6, user('something else'))
    const first = await chat(stack.url, edited)

    const next = await chat(stack.url, [...edited, first.reply, user('go on')])
    const back = await chat(stack.url, history)

    expect([first.session, next.session, back.session]).toEqual([session, session, session])
    expect(back.cachedTokens).toBeGreaterThan(back.promptTokens - 3 * BLOCK)
  })

  it('is found after a restart of cwm too', async () => {
    const { history, session } = await chatted(12, 15)
    await stack.restart()

    expect((await chat(stack.url, history.with(2, user('cleared')))).session).toBe(session)
  })

  it('is found after its first reply when a client omits its second question', async () => {
    const { history, session } = await chatted(3, 15)

    expect((await chat(stack.url, history.toSpliced(2, 1))).session).toBe(session)
  })
})

describe("Claude Code's --continue after answers that were cut by their own max_tokens", () => {
  it('is found after the first of the four replies, now that nothing separates them', async () => {
    const opening = [user(prose(300, 'reminder')), system(prose(20, 'rules'))]
    const replies: ChatMessage[] = []
    let first: ChatTurn | undefined
    for (let n = 0; n < 4; n++) {
      const resumed = replies.flatMap((reply) => [reply, user('resume where you stopped')])
      const turn = await chat(stack.url, [...opening, ...resumed])
      replies.push(turn.reply)
      first ??= turn
    }

    const next = await chat(stack.url, [...opening, ...replies, user('continue')])

    expect(next.session).toBe(first?.session)
    expect(next.cachedTokens).toBeGreaterThanOrEqual((first?.promptTokens ?? 0) - 2 * BLOCK)
  })
})

describe('what does not change', () => {
  // Nobody can tell which of the two sessions sent it: one cold turn, never a shared cache.
  it('a history of two sessions leads to neither, also after an edit', async () => {
    const opening = [user(`${prose(60)}`)]
    const one = await chat(stack.url, opening)
    const two = await chat(stack.url, opening)
    expect(two.reply).toEqual(one.reply)
    const history = [...opening, one.reply, user('go on')]
    const third = await chat(stack.url, history)

    const edited = await chat(stack.url, [...opening, one.reply, user('go on otherwise'), third.reply, user('and?')])

    expect(new Set([one, two, third, edited].map((turn) => turn.session)).size).toBe(4)
    expect(edited.cachedTokens).toBe(0)
  })

  it('a window precedes every turn of its session, whatever was edited since', async () => {
    await chat(stack.url, [user(`${prose(400)}. The code word is larch.`)], { headers: { 'x-cwm-freeze': 'book' } })
    await settled(stack.url, 'book')
    let history = [user('What is the code word?')]
    const first = await chat(stack.url, history, { headers: { 'x-cwm-window': 'book' } })
    history = [...history, first.reply]
    for (let n = 0; n < 11; n++) {
      const asked = [...history, user(prose(10, `ask${n}`))]
      history = [...asked, (await chat(stack.url, asked)).reply]
    }

    const edited = await chat(stack.url, [...history.with(2, user('something else')), user('and now?')])

    expect(edited.session).toBe(first.session)
    expect(edited.got.headers['x-cwm-window']).toBe('book')
    expect(edited.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens - 2 * BLOCK)
  })

  it('a cut near the limit uses the messages that the client sends now', async () => {
    await stack.close()
    stack = await startStack({ sim: { maxModelLen: 2_048 }, settings: { overflow: 'rollover' } })
    let history: readonly ChatMessage[] = [system('Be brief.')]
    let session = ''
    for (let n = 0; n < 24; n++) {
      const asked = [...history, user(prose(60, `q${n}`))]
      const turn = await chat(stack.url, asked)
      history = [...asked, turn.reply]
      session = turn.session
    }

    const edited = await chat(stack.url, [...history.with(3, user('cleared')), user('and now?')])

    expect(edited.session).toBe(session)
    expect(edited.got.headers['x-cwm-rollover']).toBeDefined()
    expect(edited.promptTokens).toBeLessThan(2_048)
  }, 30_000)
})
