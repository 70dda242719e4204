// An answer cut by the context limit looks complete, so cwm reports it wherever possible.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, jsonOf } from '../support/client.ts'
import { prose } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const LIMIT = 1024
/** About 900 tokens, which leaves some hundred for the answer. */
const LONG = prose(450)

let stack: Stack
beforeEach(async () => {
  stack = await startStack({ sim: { maxModelLen: LIMIT } })
  stack.sim.script({ content: prose(200, 'bridge') })
})
afterEach(() => stack.close())

interface SessionStatus {
  readonly truncation?: {
    readonly prompt_tokens: number
    readonly completion_tokens: number
    readonly limit: number
    readonly streamed: boolean
  }
}

const named = { 'x-cwm-session': 'ann' }
const statusOf = (id: string) => rest<SessionStatus>(stack.url, 'GET', `/sessions/${id}`)
const model = 'sim-model'
const user = (content: string) => [{ role: 'user', content }]

const dialects: readonly (readonly [string, string, object])[] = [
  ['chat', '/v1/chat/completions', { model, messages: user(LONG) }],
  ['responses', '/v1/responses', { model, input: LONG }],
  ['messages', '/v1/messages', { model, max_tokens: 900, messages: user(LONG) }],
  ['completions', '/v1/completions', { model, prompt: LONG, max_tokens: 900 }],
]

async function truncations(dialect: string): Promise<number> {
  const { text } = await ask(stack.url, '/cwm/metrics')
  return Number(new RegExp(`cwm_truncated_answers_total{dialect="${dialect}"} (\\d+)`).exec(text)?.[1] ?? 0)
}

describe.each(dialects)('an answer of %s that the limit cut', (dialect, path, body) => {
  it("is reported in a header, the metrics and its session's status", async () => {
    const got = await ask(stack.url, path, { body, headers: named })

    expect(got.status).toBe(200)
    expect(got.headers['x-cwm-truncated']).toBe('context')
    expect(got.headers['x-cwm-context']).toBe(`${LIMIT}/${LIMIT}`)
    expect(await truncations(dialect)).toBe(1)
    const { truncation } = await statusOf('ann')
    expect(truncation).toMatchObject({ limit: LIMIT, streamed: false })
    expect((truncation?.prompt_tokens ?? 0) + (truncation?.completion_tokens ?? 0)).toBe(LIMIT)
  })

  it('as a stream is reported in the status, and in the header of the next answer', async () => {
    const streamed = await ask(stack.url, path, { body: { ...body, stream: true }, headers: named })
    await until('the turn is told', async () => (await statusOf('ann')).truncation?.streamed === true)

    const next = await ask(stack.url, '/v1/chat/completions', {
      body: { model, messages: user('Short.') },
      headers: named,
    })

    expect(streamed.clean).toBe(true)
    expect(streamed.headers['x-cwm-truncated']).toBeUndefined()
    expect(next.headers['x-cwm-truncated']).toBe('context; turn=previous')
    expect(await truncations(dialect)).toBe(1)
    expect((await statusOf('ann')).truncation).toBeUndefined()
  })
})

it('stays reported when an earlier concurrent turn ends later', async () => {
  const path = '/v1/chat/completions'
  stack.sim.fault({ path, action: { kind: 'delay', ms: 600 } })
  const slow = ask(stack.url, path, { body: { model, messages: user('Slowly.') }, headers: named })
  await until('the slow turn is at the engine', () => stack.sim.requests.last('engine')?.path === path)
  stack.sim.script({ content: prose(200, 'bridge') })
  const cut = await ask(stack.url, path, { body: { model, messages: user(LONG) }, headers: named })

  await slow

  expect(cut.headers['x-cwm-truncated']).toBe('context')
  expect((await statusOf('ann')).truncation).toBeDefined()
})

describe('an answer is not reported as cut for', () => {
  it('several prompts at once, whose usage is one sum', async () => {
    const body = { model, prompt: [prose(300), prose(310)], max_tokens: 4 }

    const got = await ask(stack.url, '/v1/completions', { body, headers: named })

    expect(got.status).toBe(200)
    expect(got.headers['x-cwm-truncated']).toBeUndefined()
    expect(await truncations('completions')).toBe(0)
  })

  it.each([
    ['one that ended normally', { messages: user('Where does it run?') }],
    ['one that reached the client’s own limit', { messages: user(LONG), max_tokens: 5 }],
    ['several choices with the client’s own limit', { messages: user('Tell.'), max_tokens: 5, n: 3 }],
  ])('%s', async (_, body) => {
    const got = await ask(stack.url, '/v1/chat/completions', { body: { model, ...body }, headers: named })

    expect(got.status).toBe(200)
    expect(jsonOf<{ usage: object }>(got).usage).toBeDefined()
    expect(got.headers['x-cwm-truncated']).toBeUndefined()
    expect(await truncations('chat')).toBe(0)
  })
})
