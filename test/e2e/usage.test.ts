// The ledger by REST: what is counted, for whom, how it is grouped, and who may read it.

import { afterEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import { askedMany, documentWindow } from '../support/asks.ts'
import { ask, errorOf } from '../support/client.ts'
import { askChat, chat, prose, system, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { post, sendOn } from '../support/departing-client.ts'
import { call, frozenSession, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { answeredTokens, onlyLine, usageOf } from '../support/usage.ts'
import { settled } from '../support/windows.ts'

let stack: Stack
afterEach(() => stack.close())

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const key = (name: string, text: string) => ({ name, sha256: keyHash(text) })
const keys = { ci: 'sk-acme-ci-0123', web: 'sk-acme-web-0123', other: 'sk-other-0123456', operator: 'operator-0123456' }
const tenants: NonNullable<Settings['tenants']> = [
  { id: 'acme', keys: [key('ci', keys.ci), key('web', keys.web)] },
  { id: 'other', keys: [key('main', keys.other)] },
]
const startTenants = async () => {
  stack = await startStack({ settings: { tenants, operator_key: keys.operator } })
}

it('equals what the engine counted, streamed or not', async () => {
  stack = await startStack()
  const first = await chat(stack.url, [user(prose(300))])
  const second = await chat(stack.url, [user(prose(300)), first.reply, user('and then?')])
  await ask(stack.url, '/v1/chat/completions', {
    body: { model: 'sim-model', messages: [user(prose(50))], max_tokens: 5, ignore_eos: true, stream: true },
  })

  const line = await onlyLine(stack.url)

  const answered = answeredTokens([first.got, second.got])
  expect(line).toMatchObject({
    model: 'sim-model',
    requests: 3,
    errors: 0,
    aborted: 0,
    unmetered: 0,
    prompt_tokens: stack.sim.promptTokens(),
    cached_tokens: stack.sim.cachedTokens(),
    computed_tokens: stack.sim.promptTokens() - stack.sim.cachedTokens(),
    restored_tokens: null,
    warmed_tokens: 0,
  })
  expect(line.cached_tokens).toBeGreaterThan(256)
  expect((line.completion_tokens ?? 0) - answered.completion).toBe(5)
  expect(line.first_token.count).toBe(3)
  expect(line.first_token.buckets.reduce((sum, { count }) => sum + count, 0)).toBe(3)
})

it('counts the warm calls of freezes and thaws apart, and what thaws and questions restore', async () => {
  stack = await startStack()
  await frozenSession(stack.url, { session: 'ann', window: 'w' })
  await stack.sim.restartEngine()
  const thaw = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/w/thaw', {})
  const answer = await rest<{ receipt: { restored_tokens: number } }>(stack.url, 'POST', '/windows/w/ask', {
    question: 'What is the buoy called?',
  })

  const line = await onlyLine(stack.url)

  expect(thaw.restored_tokens).toBeGreaterThan(512)
  expect(line.requests).toBe(2)
  expect(line.restored_tokens).toBe((thaw.restored_tokens ?? 0) + answer.receipt.restored_tokens)
  expect((line.computed_tokens ?? 0) + line.warmed_tokens).toBe(stack.sim.promptTokens() - stack.sim.cachedTokens())
})

it('counts a request whose client left apart, without tokens', async () => {
  stack = await startStack({ sim: { decodeTokensPerSecond: 5 } })
  const body = { model: 'sim-model', messages: [user(prose(30))], max_tokens: 40, stream: true }
  const socket = await sendOn(stack.url, post('/v1/chat/completions', body))
  await until('the stream begins', () => socket.bytesRead > 0)

  socket.destroy()

  const line = await until('the request is counted', async () => (await usageOf(stack.url)).data[0])
  expect(line).toMatchObject({
    requests: 0,
    errors: 0,
    aborted: 1,
    unmetered: 0,
    prompt_tokens: null,
    cached_tokens: null,
    computed_tokens: null,
    completion_tokens: null,
  })
  expect(line.first_token.count).toBe(0)
})

it('counts errors, and the tokens of requests without a session', async () => {
  stack = await startStack()
  await askChat(stack.url, [user('hi')], { body: { model: 'no-such-model' } })
  expect(await onlyLine(stack.url)).toMatchObject({ requests: 1, errors: 1, unmetered: 0, prompt_tokens: null })
  const many = Array.from({ length: 400 }, (_, n) => `text ${n}`)
  for (const input of ['a few words', many]) {
    await ask(stack.url, '/v1/embeddings', { body: { model: 'sim-model', input } })
  }

  const { data } = await usageOf(stack.url, '?by=tenant')

  expect(data).toMatchObject([
    {
      tenant: 'anonymous',
      requests: 3,
      errors: 1,
      unmetered: 0,
      cache_unreported: 2,
      prompt_tokens: stack.sim.promptTokens(),
      cached_tokens: null,
      computed_tokens: null,
    },
  ])
})

describe('with tenants', () => {
  it('is grouped by key, model, tenant, or time', async () => {
    await startTenants()
    for (const one of [keys.ci, keys.ci, keys.web, keys.other]) {
      await chat(stack.url, [user('hi')], { headers: bearer(one) })
    }

    const own = (query: string) => usageOf(stack.url, query, bearer(keys.ci))
    expect((await own('?by=key')).data).toMatchObject([
      { key: 'ci', requests: 2 },
      { key: 'web', requests: 1 },
    ])
    expect((await own('?by=model,tenant')).data).toMatchObject([{ tenant: 'acme', model: 'sim-model', requests: 3 }])
    const { unit, from, to, data } = await own('?by=hour,key')
    expect([unit, data.length]).toEqual(['minute', 2])
    expect(data[0]?.at).toMatch(/:00:00\.000Z$/)
    expect(Date.parse(to) - Date.parse(from)).toBeGreaterThanOrEqual(24 * 3_600_000)
  })

  it("is a tenant's own, and everybody's for the operator", async () => {
    await startTenants()
    await chat(stack.url, [user('hi')], { headers: bearer(keys.ci) })
    await chat(stack.url, [user('hi')], { headers: bearer(keys.other) })

    expect((await usageOf(stack.url, '?by=tenant', bearer(keys.ci))).data).toMatchObject([{ tenant: 'acme' }])
    expect((await usageOf(stack.url, '', bearer(keys.operator))).data).toMatchObject([
      { tenant: 'acme', requests: 1 },
      { tenant: 'other', requests: 1 },
    ])
    const one = { ...bearer(keys.operator), 'x-cwm-tenant': 'other' }
    expect((await usageOf(stack.url, '?by=tenant', one)).data).toMatchObject([{ tenant: 'other' }])
    expect((await call(stack.url, 'GET', '/usage')).status).toBe(401)
  })

  it('goes with its tenant', async () => {
    await startTenants()
    await chat(stack.url, [user('hi')], { headers: bearer(keys.ci) })
    await chat(stack.url, [user('hi')], { headers: bearer(keys.other) })

    await rest(stack.url, 'DELETE', '/tenants/me', undefined, bearer(keys.ci))

    expect((await usageOf(stack.url, '', bearer(keys.operator))).data).toMatchObject([{ tenant: 'other' }])
  })
})

it('is kept over a restart', async () => {
  stack = await startStack()
  await chat(stack.url, [user('hi')])

  await stack.restart()
  await chat(stack.url, [user('hi again')])

  expect(await onlyLine(stack.url)).toMatchObject({ requests: 2, prompt_tokens: stack.sim.promptTokens() })
})

it('is returned as CSV by Accept, and by query', async () => {
  stack = await startStack()
  await chat(stack.url, [user('hi')])

  const got = await ask(stack.url, '/cwm/v1/usage?by=model,day', { method: 'GET', headers: { accept: 'text/csv' } })

  expect(got.headers['content-type']).toBe('text/csv; charset=utf-8')
  const [titles, row, end] = got.text.split('\r\n')
  expect(titles).toMatch(
    /^model,at,requests,errors,aborted,unmetered,cache_unreported,prompt_tokens,.*first_token_le_inf$/,
  )
  expect(row).toMatch(/^sim-model,\d{4}-\d\d-\d\dT00:00:00.000Z,1,0,0,0,0,\d+,/)
  expect(row?.split(',')).toHaveLength(titles?.split(',').length ?? 0)
  expect(end).toBe('')
  expect((await call(stack.url, 'GET', '/usage?format=csv&by=model,day')).text).toBe(got.text)
})

it('reports the last day if only an end in the future is given', async () => {
  stack = await startStack()
  await chat(stack.url, [user('hello')])

  const { data } = await usageOf(stack.url, '?to=9999-01-01T00:00:00Z')

  expect(data.map(({ requests }) => requests)).toEqual([1])
})

it.each([
  ['?by=week', 'by.0'],
  ['?by=hour,day', 'by'],
  ['?from=yesterday', 'from'],
  ['?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
  ['?from=2020-01-01T00:00:00Z&by=minute', 'from'],
  ['?span=day', 'span'],
])('rejects %s and names the field', async (query, param) => {
  stack = await startStack()

  const got = await call(stack.url, 'GET', `/usage${query}`)

  expect([got.status, errorOf(got).param]).toEqual([400, param])
})

describe('the price of isolation', () => {
  const tools = [
    {
      type: 'function',
      function: { name: 'look_up', description: prose(120, 'tool'), parameters: { type: 'object' } },
    },
  ]
  const begin = (text: string, headers: Record<string, string> = {}) =>
    chat(stack.url, [system(prose(400, 'rules')), user(text)], { body: { tools }, headers })

  it('is what sessions of one tenant computed again of a common beginning, at most what they computed', async () => {
    stack = await startStack()
    const first = await begin('one')
    const second = await begin('two')
    await chat(stack.url, [system(prose(400, 'rules')), user('two'), second.reply, user('more')], { body: { tools } })
    await chat(stack.url, [system('other rules'), user('three')])
    await begin('four', bearer('another-tenant'))

    const { data, advice } = await usageOf(stack.url)

    const [line] = data
    expect(line?.repeats).toBe(1)
    expect(line?.repeated_tokens).toBeGreaterThan(0.8 * first.promptTokens)
    expect(line?.repeated_tokens).toBeLessThanOrEqual(second.promptTokens - (second.cachedTokens ?? 0))
    expect(advice).toMatch(/^about \d+% of the computed prompt tokens .*isolation to user or tenant/)
  })

  it('is nothing where sessions share', async () => {
    stack = await startStack({ settings: { isolation: 'tenant' } })
    await begin('one')
    await begin('two')

    const { data, advice } = await usageOf(stack.url)

    expect(data).toMatchObject([{ repeats: 0, repeated_tokens: 0 }])
    expect(advice).toBeNull()
  })
})

it('counts each window of a question to many, and each call of its reduction', async () => {
  stack = await startStack()
  for (const name of ['a', 'b', 'c']) await documentWindow(stack.url, name)
  for (const name of ['a', 'b', 'c']) await settled(stack.url, name)
  const frozen = await onlyLine(stack.url)

  const { receipt } = await askedMany(stack.url, {
    question: 'What is the harbor called?',
    windows: { tag: 'law' },
    reduce: 'synthesize',
  })

  const line = await onlyLine(stack.url)
  expect(frozen.requests).toBe(0)
  expect(receipt.reduction.calls).toBeGreaterThan(0)
  expect(line.requests).toBe(3 + receipt.reduction.calls)
  expect(line.restored_tokens).toBe(receipt.restored_tokens)
  expect((line.computed_tokens ?? 0) + line.warmed_tokens).toBe(stack.sim.promptTokens() - stack.sim.cachedTokens())
})
