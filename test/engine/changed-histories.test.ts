// Unnamed chats whose client changed what was said long ago, where a real engine counts: all that stands before the change stays cached.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, ask, longText, type Message, measured, openai, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'

/** Tokens of one block of vLLM's CPU build. */
const BLOCK = 128
/** The whole of it stays far below the engine's 4,096 tokens. */
const TURNS = 12
const WORDS = 120
/** The message that the client clears: the question of the fourth turn. None of the eight newest replies stands before it. */
const EDITED = 6
/** Short answers: the engine writes some tens of tokens a second. */
const SHORT = { body: { max_tokens: 8 } }

let cwm: Cwm
let client: OpenAI

beforeAll(async () => {
  cwm = await startCwm()
  client = openai(cwm.url)
})

afterAll(() => cwm.dispose())

/** Another text in each run, so that nothing of a run before is cached. */
const question = (name: string) => user(longText(`${name} ${Date.now()}`, WORDS))

/** One turn after the other; answers all of them. */
async function chatted(turns: number): Promise<{ history: Message[]; answers: Answer[] }> {
  const history: Message[] = []
  const answers: Answer[] = []
  for (let n = 0; n < turns; n++) {
    history.push(question(`question ${n}`))
    const answer = await ask(client, history, SHORT)
    answers.push(answer)
    history.push(answer.reply)
  }
  return { history, answers }
}

describe('an unnamed chat of twelve turns', () => {
  it('keeps in the cache what stands before an early message that its client replaced', async () => {
    const { history, answers } = await chatted(TURNS)
    // What the engine counted of the turn before the edited question, prompt and answer.
    const before = answers[EDITED / 2 - 1]
    const standing = (before?.promptTokens ?? 0) + (before?.ids.length ?? 0)

    const turn = await ask(client, [...history.with(EDITED, user('cleared')), user('and now?')], SHORT)

    const { promptTokens: prompt, cachedTokens: cached } = turn
    measured('a turn after an edit', { prompt, standing, cached })
    expect(turn.cwm.session).toBe(answers[0]?.cwm.session)
    expect(standing).toBeGreaterThan(3 * BLOCK)
    expect(cached).toBeGreaterThanOrEqual(standing - 2 * BLOCK)
  })
})

describe("Claude Code's --continue after answers that were cut by their own max_tokens", () => {
  it('is found behind the first of its four replies, now that nothing stands between them', async () => {
    const opening = [user(longText(`reminder ${Date.now()}`, 600)), user('say something long')]
    const replies: Message[] = []
    const answers: Answer[] = []
    for (let n = 0; n < 4; n++) {
      const resumed = replies.flatMap((reply) => [reply, user('resume where you stopped')])
      const answer = await ask(client, [...opening, ...resumed], SHORT)
      answers.push(answer)
      replies.push(answer.reply)
    }

    const next = await ask(client, [...opening, ...replies, user('continue')], SHORT)

    const [first] = answers
    measured('a turn after --continue', {
      prompt: next.promptTokens,
      first: first?.promptTokens,
      cached: next.cachedTokens,
    })
    expect(next.cwm.session).toBe(first?.cwm.session)
    expect(next.cachedTokens).toBeGreaterThanOrEqual((first?.promptTokens ?? 0) - 2 * BLOCK)
  })
})
