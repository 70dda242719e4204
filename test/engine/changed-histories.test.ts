// Unnamed chats whose client changed an old message, counted by a real engine: everything before the change stays cached.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, ask, longText, type Message, measured, openai, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'

/** Tokens per block of vLLM's CPU build. */
const BLOCK = 128
/** Everything stays far below the engine's 4,096 tokens. */
const TURNS = 12
const WORDS = 120
/** The message that the client replaces: the question of the fourth turn. None of the eight newest replies precedes it. */
const EDITED = 6
/** Short answers: the engine produces some tens of tokens per second. */
const SHORT = { body: { max_tokens: 8 } }

let cwm: Cwm
let client: OpenAI

beforeAll(async () => {
  cwm = await startCwm()
  client = openai(cwm.url)
})

afterAll(() => cwm.dispose())

/** Another text in each run, so that earlier runs leave nothing cached. */
const question = (name: string) => user(longText(`${name} ${Date.now()}`, WORDS))

/** Sends one turn after the other, and returns all of them. */
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
  it('keeps everything before an old message cached when its client replaces that message', async () => {
    const { history, answers } = await chatted(TURNS)
    // The engine's counts for the turn before the edited question, prompt and answer.
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
  it('is found after the first of its four replies, now that nothing separates them', async () => {
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
