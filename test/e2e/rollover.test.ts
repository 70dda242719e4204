// With the policy `rollover`, a full context is frozen whole, and the conversation continues with its newest exchanges. The client keeps
// sending everything.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { assistant, type ChatMessage, chat, prose, system, user } from '../support/conversation.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const LIMIT = 2048
const model = 'sim-model'

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ sim: { maxModelLen: LIMIT }, settings: { overflow: 'rollover', freeze_at: 0 } })
})
afterAll(() => stack.close())

interface Sent {
  readonly messages: readonly ChatMessage[]
}

/** The last chat turn that the engine received. */
function lastSent(): readonly ChatMessage[] {
  const request = stack.sim.requests.all('engine').findLast(({ path }) => path === '/v1/chat/completions')
  return (JSON.parse(request?.body.toString('utf8') ?? '{}') as Sent).messages
}

interface Step {
  readonly sent: readonly ChatMessage[]
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly rollover: string | undefined
}

/** A chat that sends its whole history each time. */
class Client {
  readonly history: ChatMessage[] = [system('You are the harbour master. You answer briefly.')]
  readonly #session: string

  constructor(session: string) {
    this.#session = session
  }

  async turn(words: string, url = stack.url): Promise<Step> {
    this.history.push(user(words))
    const turn = await chat(url, this.history, { headers: { 'x-cwm-session': this.#session } })
    this.history.push(assistant(turn.reply.content ?? ''))
    return {
      sent: lastSent(),
      promptTokens: turn.promptTokens,
      cachedTokens: turn.cachedTokens ?? 0,
      rollover: turn.got.headers['x-cwm-rollover'] as string | undefined,
    }
  }
}

const words = (i: number) => `Turn ${i}: ${prose(60, `mill${i}`)}`

describe('a chat that exceeds the limit repeatedly', () => {
  const steps: Step[] = []
  const client = new Client('long')
  beforeAll(async () => {
    for (let i = 0; i < 40; i++) steps.push(await client.turn(words(i)))
  })

  it('is cut several times, and never rejected', () => {
    const windows = new Set(steps.map(({ rollover }) => rollover).filter((name) => name !== undefined))
    expect(windows.size).toBeGreaterThanOrEqual(3)
  })

  it('keeps its system prompt and its newest messages', () => {
    for (const [i, { sent }] of steps.entries()) {
      expect(sent[0]).toEqual(client.history[0])
      expect(sent.at(-1)?.content).toBe(words(i))
    }
  })

  it('stays warm between two cuts, which are many turns apart', () => {
    let compared = 0
    for (const [i, step] of steps.entries()) {
      const before = steps[i - 1]
      if (before === undefined || before.rollover !== step.rollover) continue
      if (step.rollover !== undefined) compared++
      expect(step.cachedTokens).toBeGreaterThan(0.8 * before.promptTokens)
    }
    expect(compared).toBeGreaterThan(steps.length / 2)
  })

  it('is frozen whole before each cut: every message is in one of its windows', async () => {
    const names = [...new Set(steps.flatMap(({ rollover }) => rollover ?? []))]
    const held = new Set<string>()
    let parent: string | undefined
    for (const name of names) {
      const window = await settled(stack.url, name)
      expect(window).toMatchObject({ state: 'frozen', ...(parent === undefined ? {} : { parent }) })
      expect(window.receipt?.restorable_tokens).toBeGreaterThan(0)
      const { messages } = await rest<{ messages: ChatMessage[] }>(stack.url, 'GET', `/windows/${name}/export`)
      for (const { content } of messages) held.add(content ?? '')
      parent = name
    }
    const last = steps.at(-1)
    const cutAway = client.history
      .slice(0, -1)
      .filter((message) => last?.sent.every((sent) => sent.content !== message.content))
    expect(cutAway.length).toBeGreaterThan(20)
    expect(cutAway.filter(({ content }) => !held.has(content ?? ''))).toEqual([])
  })

  it('shows in its status where it is cut', async () => {
    const status = await rest<{ rollover: { window: string; messages: number } }>(stack.url, 'GET', '/sessions/long')
    expect(status.rollover.window).toBe(steps.at(-1)?.rollover)
    expect(status.rollover.messages).toBeGreaterThan(20)
  })

  it('is cut in the same place by another cwm that has never seen it', async () => {
    const other = await startStack({ sim: { maxModelLen: LIMIT }, settings: { overflow: 'rollover', freeze_at: 0 } })
    try {
      const messages = [...client.history, user('And now?')]
      await chat(stack.url, messages, { headers: { 'x-cwm-session': 'long' } })
      await chat(other.url, messages)

      const sent = other.sim.requests.all('engine').findLast(({ path }) => path === '/v1/chat/completions')

      expect((JSON.parse(sent?.body.toString('utf8') ?? '{}') as Sent).messages).toEqual(lastSent())
    } finally {
      await other.close()
    }
  })

  it('is undone by one call: the window of the last cut, its tokens restored', async () => {
    const name = steps.at(-1)?.rollover ?? ''
    const receipt = await rest<{ restored_tokens: number; tokens: number }>(
      stack.url,
      'POST',
      `/windows/${name}/thaw`,
      { session_id: 'undone' },
    )
    expect(receipt.restored_tokens).toBeGreaterThan(receipt.tokens - 300)
  })
})

/** Words of three or four tokens each, which the local estimate counts as one or two. */
const gibberish = (seed: number) =>
  Array.from({ length: 30 }, (_, i) =>
    Array.from({ length: 7 }, (_, j) => 'bcdfghjklmnpqrstvwxz'[(seed * 31 + i * 17 + j * j * 7 + i * j) % 20]).join(''),
  ).join(' ')

describe('a chat whose words the estimate counts as far too few tokens', () => {
  it('is cold once per cut, and no cut brings back messages removed by an earlier one', async () => {
    const client = new Client('odd-words')
    const steps: Step[] = []
    for (let i = 0; i < 50; i++) steps.push(await client.turn(`${i} ${gibberish(i)}`))

    const cut = steps.filter(({ rollover }) => rollover !== undefined)
    expect(new Set(cut.map(({ rollover }) => rollover)).size).toBeGreaterThanOrEqual(2)
    for (const [i, step] of steps.entries()) {
      const [before, twoBefore] = [steps[i - 1], steps[i - 2]]
      if (before === undefined || twoBefore === undefined) continue
      const isNew = step.rollover !== before.rollover
      expect(isNew && before.rollover !== twoBefore.rollover).toBe(false)
      if (!isNew) expect(step.cachedTokens).toBeGreaterThan(0.8 * before.promptTokens)
      const oldest = (one: Step) => Number(/^\d+/.exec(one.sent[1]?.content ?? '')?.[0])
      expect(oldest(step)).toBeGreaterThanOrEqual(oldest(before))
    }
  })
})

describe('what cannot be cut', () => {
  it('a first message over the limit by itself is rejected, with exact numbers', async () => {
    const messages = [user(prose(2000))]

    const got = await ask(stack.url, '/v1/chat/completions', { body: { model, messages } })

    expect(errorOf(got).code).toBe('context_length_exceeded')
    const exact = jsonOf<{ count: number }>(
      await ask(stack.sim.engineUrl, '/tokenize', { body: { model, messages } }),
    ).count
    expect(errorOf(got).message).toContain(`${exact} tokens of prompt`)
  })

  it('a history contained in the window before it needs no window of its own', async () => {
    const client = new Client('based')
    for (let i = 0; i < 8; i++) await client.turn(words(i))
    await rest(stack.url, 'POST', '/windows', { name: 'book', session_id: 'based' })

    const behind = await chat(stack.url, [user(prose(300))], {
      headers: { 'x-cwm-session': 'reader', 'x-cwm-window': 'book' },
    })

    expect(behind.got.headers['x-cwm-rollover']).toBe('book')
  })
})
