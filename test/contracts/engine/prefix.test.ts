// The start of the next prompt: the common prefix of two continuations, whatever the template drops.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recorded } from '../../support/recorded.ts'
import { errorText, shape } from './shape.ts'
import { commonPrefix, field, list, newSalt, openTarget, type Target } from './target.ts'

let target: Target
let renders: boolean

beforeAll(async () => {
  target = await openTarget({ scaleOut: true })
  renders = (await render({ messages: CONVERSATION })).status !== 403
})

afterAll(() => target?.close())

// The template renders only the last message's reasoning.
const CONVERSATION = [
  { role: 'system', content: 'You keep the log of a harbour.' },
  { role: 'user', content: 'The Aurora came in at nine.' },
  { role: 'assistant', content: 'Noted: Aurora, nine.', reasoning: 'A ship and an hour.' },
]
const user = (content: string) => ({ role: 'user', content })

async function tokenize(body: object): Promise<number[]> {
  const { json } = await target.call('engine', 'POST', '/tokenize', { model: target.model, ...body })
  return list(field(json, 'tokens')).map(Number)
}

const render = (body: object) =>
  target.call('engine', 'POST', '/v1/chat/completions/render', { model: target.model, ...body })

async function boundary(rest: object = {}): Promise<number[]> {
  const probe = (text: string) => tokenize({ ...rest, messages: [...CONVERSATION, user(text)] })
  return commonPrefix(await probe('alpha'), await probe('7 zebras'))
}

describe('the common prefix of two probes', () => {
  it('starts the next real prompt', async () => {
    const prefix = await boundary()

    const next = await tokenize({ messages: [...CONVERSATION, user('Which ship came in?')] })

    expect(prefix.length).toBeGreaterThan(20)
    expect(next.slice(0, prefix.length)).toEqual(prefix)
  })

  it('still starts the prompt two turns later', async () => {
    const prefix = await boundary()

    const turns = [...CONVERSATION, user('Which?'), { role: 'assistant', content: 'Aurora.' }, user('When?')]

    expect((await tokenize({ messages: turns })).slice(0, prefix.length)).toEqual(prefix)
  })

  it('differs from the messages alone if the template drops reasoning', async () => {
    const alone = await tokenize({ messages: CONVERSATION, add_generation_prompt: false })

    const next = await tokenize({ messages: [...CONVERSATION, user('Which ship came in?')] })

    expect(next.slice(0, alone.length)).not.toEqual(alone)
  })

  it('depends on the tools', async () => {
    const tools = [{ type: 'function', function: { name: 'log', description: 'd', parameters: { type: 'object' } } }]

    const withTools = await boundary({ tools })

    expect(withTools.length).toBeGreaterThan((await boundary()).length)
  })

  it('matches the prompt of a chat request', async () => {
    const messages = [...CONVERSATION, user('Which ship came in?')]
    const body = { model: target.model, messages, max_tokens: 1, return_token_ids: true, cache_salt: newSalt() }

    const { json } = await target.call('engine', 'POST', '/v1/chat/completions', body)

    expect(field(json, 'prompt_token_ids')).toEqual(await tokenize({ messages }))
  })
})

describe('render', () => {
  it('returns the ids of /tokenize, or reports that it is disabled', async () => {
    const messages = [...CONVERSATION, user('Which ship came in?')]

    const { status, json } = await render({ messages, temperature: 0, max_tokens: 3, cache_salt: newSalt() })

    const off = recorded('vllm', 'render chat/completions, disabled').response
    const expected = renders
      ? {
          status: 200,
          ids: await tokenize({ messages }),
          shape: shape(recorded('vllm-render', 'render chat').response.body),
        }
      : { status: 403, ids: undefined, shape: shape(off.body) }
    expect({ status, ids: field(json, 'token_ids'), shape: shape(json) }).toEqual(expected)
  })

  it('rejects what chat rejects', async ({ skip }) => {
    if (!renders) skip()
    const messages = CONVERSATION

    for (const bad of [
      { messages, model: 'nope' },
      { messages, max_tokens: target.limit + 1 },
      { messages, cache_salt: 'a@b' },
    ]) {
      const rendered = await render(bad)
      const chat = await target.call('engine', 'POST', '/v1/chat/completions', { model: target.model, ...bad })
      expect([rendered.status, errorText(rendered.json, [])]).toEqual([chat.status, errorText(chat.json, [])])
    }
  })
})
