// Which limit and which policy apply: the operator's limit if below the engine's, and a tenant's own policy over the general one.

import { createHash } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { settingsSchema } from '../../src/config/schema.ts'
import { ask, errorOf } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const model = 'sim-model'
const CHAT = '/v1/chat/completions'

let stack: Stack
afterEach(() => stack.close())

describe("the operator's limit", () => {
  it('overrides a larger one of the engine, and applies to sessions', async () => {
    stack = await startStack({
      sim: { maxModelLen: 4096 },
      settings: { limits: { [model]: 512 }, overflow: 'reject', freeze_at: 0 },
    })

    const short = await chat(stack.url, [user('Hi')], { headers: { 'x-cwm-session': 'ann' } })
    const long = await ask(stack.url, CHAT, { body: { model, messages: [user(prose(400))] } })

    expect(short.got.headers['x-cwm-context']).toMatch(/^\d+\/512$/)
    expect(errorOf(long).message).toContain('maximum context length is 512 tokens')
  })

  it('is ignored if the engine has a smaller one', async () => {
    stack = await startStack({ sim: { maxModelLen: 1024 }, settings: { limits: { [model]: 100_000 }, freeze_at: 0 } })

    const { got } = await chat(stack.url, [user('Hi')])

    expect(got.headers['x-cwm-context']).toMatch(/^\d+\/1024$/)
  })

  it.each([
    ['a smaller one', { [model]: 512 }, "limit 512 tokens by the setting limits (the engine's is 4096)"],
    [
      'a larger one',
      { [model]: 9999 },
      'limit 4096 tokens (the setting limits has 9999, but the engine supports no more)',
    ],
    ['none', {}, 'limit 4096 tokens'],
  ])('is reported at startup next to the limit of the engine: %s', async (_, limits, words) => {
    stack = await startStack({ sim: { maxModelLen: 4096 }, settings: { limits } })

    expect(stack.findings[0]?.endsWith(words)).toBe(true)
  })

  it('causes a warning at startup if the engine serves no model of that name', async () => {
    stack = await startStack({ settings: { limits: { 'sim-modle': 512 } } })

    expect(stack.findings[1]).toBe('          warning: the setting limits names sim-modle, which no engine serves')
  })

  it('does not mark an answer as cut by the context', async () => {
    stack = await startStack({ sim: { maxModelLen: 4096 }, settings: { limits: { [model]: 64 }, freeze_at: 0 } })

    const { got } = await chat(stack.url, [user(prose(60))], { body: { max_tokens: 5 } })

    expect(got.headers['x-cwm-truncated']).toBeUndefined()
  })
})

describe('a policy', () => {
  it('of a tenant overrides the general one', async () => {
    const key = (name: string) => ({ name, sha256: createHash('sha256').update(name).digest('hex') })
    const { tenants } = settingsSchema.parse({
      upstream: 'http://127.0.0.1:1',
      tenants: [
        { id: 'strict', keys: [key('strict-key')], overflow: 'reject' },
        { id: 'easy', keys: [key('easy-key')] },
      ],
    })
    stack = await startStack({ sim: { maxModelLen: 1024 }, settings: { tenants, freeze_at: 0 } })
    const send = (name: string) =>
      ask(stack.url, CHAT, {
        body: { model, messages: [user(prose(465))] },
        headers: { authorization: `Bearer ${name}` },
      })

    const strict = await send('strict-key')
    const easy = await send('easy-key')

    expect(errorOf(strict).code).toBe('context_length_exceeded')
    expect(easy.status).toBe(200)
  })

  it('that a tenant sets by REST overrides both, survives a restart, and can be removed', async () => {
    stack = await startStack({ sim: { maxModelLen: 1024 }, settings: { freeze_at: 0 } })
    const send = () => ask(stack.url, CHAT, { body: { model, messages: [user(prose(465))] } })
    const before = await send()
    await rest(stack.url, 'PUT', '/tenants/me/near-limit', { overflow: 'reject' })
    const chosen = await send()
    await stack.restart()
    const restarted = await send()
    const header = await ask(stack.url, CHAT, {
      body: { model, messages: [user(prose(465))] },
      headers: { 'x-cwm-overflow': 'pass' },
    })
    const left = await rest(stack.url, 'PUT', '/tenants/me/near-limit', {})
    const after = await send()

    expect([before, chosen, restarted, header, after].map(({ status }) => status)).toEqual([200, 400, 400, 200, 200])
    expect(left).toEqual({ freeze_at: 0, overflow: 'pass', chosen: {} })
  })

  it.each([{ freeze_at: 1.5 }, { overflow: 'never' }, { freeze: 0.5 }])('%j is rejected', async (body) => {
    stack = await startStack()

    const got = await call(stack.url, 'PUT', '/tenants/me/near-limit', body)

    expect(got.status).toBe(400)
    expect(errorOf(got).message).toContain(Object.keys(body)[0])
  })
})
