// Questions to windows on the real engine. The answer must be that of the same prompt sent whole, and its KV must come from LMCache.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WindowAnswerJson } from '../../src/wire/asks.ts'
import { ask, MODEL, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, type FreezeReceipt, KEY, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { bound, engineUrl, forget } from './support/stack.ts'

/** About 2,000 tokens, after which the random model answers with tokens that have a text. Equal empty answers would prove nothing. */
const bookOf = (mark: string) =>
  `${mark}: ${Array.from({ length: 800 }, (_, i) => `${['the', 'master', 'of', 'harbour'][i % 4]}${i % 13}`).join(' ')}`
const OPENING = [system(bookOf('You keep the harbour book')), user('who wrote the name?')]
const QUESTION = {
  question: 'and which file was it?',
  instructions: 'Answer in one line.',
  max_tokens: 16,
  temperature: 0,
}

let hop: Hop
let cwm: Cwm
beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
})
afterAll(async () => {
  await cwm.dispose()
  await hop.close()
})

/** A turn of a named session that is frozen under the session's name. */
async function frozenBy(path: string, window: string, body: object): Promise<FreezeReceipt> {
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${KEY}`,
    'x-cwm-session': window,
    'x-cwm-freeze': window,
  }
  const init = { method: 'POST', headers, body: JSON.stringify({ model: MODEL, ...body }) }
  const answer = await fetch(`${cwm.url}${path}`, init)
  expect(answer.status).toBe(200)
  return await cwm.frozen(window)
}

async function asked(window: string): Promise<WindowAnswerJson> {
  await forget()
  const { status, body } = await cwm.rest<WindowAnswerJson>('POST', `/windows/${window}/ask`, QUESTION)
  expect({ status, body }).toMatchObject({ status: 200 })
  return body
}

/** The text that the engine streams for the last question, sent again under a salt that nobody has used. */
async function sentWhole(path: string): Promise<string> {
  const sent = JSON.parse(hop.last(path).requestBody.toString()) as Record<string, unknown>
  const body = JSON.stringify({ ...sent, cache_salt: `whole-${crypto.randomUUID()}` })
  const answer = await fetch(engineUrl + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const events = [...(await answer.text()).matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data ?? ''))
  return events
    .map(({ choices, delta, type }) => {
      if (type === 'response.output_text.delta') return delta
      return choices?.[0]?.delta?.content ?? delta?.text ?? ''
    })
    .join('')
}

describe('after the engine forgot everything', () => {
  it('a question is answered as the same prompt sent whole, from the KV of the window', async () => {
    await ask(openai(cwm.url), OPENING, { headers: { 'x-cwm-session': 'chat', 'x-cwm-freeze': 'chat' } })
    const frozen = await cwm.frozen('chat')

    const { answer, receipt, usage } = await asked('chat')
    const whole = await sentWhole('/v1/chat/completions')

    measured('asked', { frozen: frozen.tokens, prompt: usage?.prompt_tokens, ...receipt })
    expect(answer).toBe(whole)
    expect(answer).not.toBe('')
    expect(receipt.drift).toBe(false)
    expect(receipt.restored_tokens).toBeGreaterThanOrEqual(bound(frozen.tokens))
    expect(receipt.tiers_before.l2).toBe(frozen.chunks)
  })

  it('a second question finds nothing of the first one cached', async () => {
    const first = await asked('chat')
    const { status, body } = await cwm.rest<WindowAnswerJson>('POST', '/windows/chat/ask', QUESTION)

    expect(status).toBe(200)
    const [question = 0] = [first.usage?.prompt_tokens].map(
      (tokens) => (tokens ?? 0) - (first.receipt.restored_tokens ?? 0),
    )
    expect(body.receipt.computed_tokens).toBeGreaterThan(0)
    expect(body.receipt.computed_tokens).toBeLessThanOrEqual(question)
  })

  it('a window of /v1/messages is asked there', async () => {
    const frozen = await frozenBy('/v1/messages', 'anthropic', {
      max_tokens: 16,
      system: bookOf('You keep the book'),
      messages: [{ role: 'user', content: 'who?' }],
    })

    const { answer, receipt } = await asked('anthropic')

    measured('asked by messages', { frozen: frozen.tokens, ...receipt })
    expect(answer).toBe(await sentWhole('/v1/messages'))
    expect(receipt.restored_tokens).toBeGreaterThanOrEqual(bound(frozen.tokens))
  })

  it('a window of /v1/responses is asked there', async () => {
    const frozen = await frozenBy('/v1/responses', 'responses', {
      max_output_tokens: 16,
      instructions: bookOf('You keep the log'),
      input: 'who?',
    })

    const { answer, receipt } = await asked('responses')

    measured('asked by responses', { frozen: frozen.tokens, ...receipt })
    expect(answer).toBe(await sentWhole('/v1/responses'))
    expect(receipt.restored_tokens).toBeGreaterThanOrEqual(bound(frozen.tokens))
  })
})
