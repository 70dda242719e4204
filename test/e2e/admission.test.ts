// One admission for all work, end to end: whatever face it came by, work that reaches the engine or the KV layer obeys the tenant's limit.
// Background work has slots of its own: it never floods the engine, and a full cwm still deletes.

import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { metricOf } from '../support/departing-client.ts'
import { overHttp } from '../support/mcp.ts'
import { type PrefillHop, startPrefillHop } from '../support/prefill-hop.ts'
import { call } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let stack: Stack
let hop: PrefillHop

async function start(settings: Partial<Settings> = {}): Promise<void> {
  stack = await startStack({
    settings: { max_in_flight_per_tenant: 1, ...settings },
    upstream: async (sim) => {
      hop = await startPrefillHop(sim.engineUrl)
      return hop.url
    },
  })
}

afterEach(async () => {
  hop.open()
  await stack.close()
  await hop.close()
})

const content = (words: string) => ({ model: 'sim-model', messages: [user(words)] })
const put = (name: string) => call(stack.url, 'PUT', `/windows/${name}`, content(`The word is ${name}.`))
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

async function created(name: string): Promise<void> {
  const making = put(name)
  await passNext()
  expect((await making).status).toBe(201)
}

/** Lets the oldest prefill pass, once it is there. */
async function passNext(): Promise<void> {
  const pass = await until('a prefill at the engine', () => hop.held.shift())
  pass()
}

describe('with one request in flight per tenant', () => {
  it('60 windows put in parallel are prefilled one at a time', async () => {
    await start()

    const answers = numbers(60).map((i) => put(`w-${i}`))
    for (const _ of answers) await passNext()

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(numbers(60).map(() => 201))
    expect(hop.most).toBe(1)
  })

  it('20 thaws in parallel are prefilled one at a time', async () => {
    await start()
    await created('base')

    const answers = numbers(20).map(() => call(stack.url, 'POST', '/windows/base/thaw', {}))
    for (const _ of answers) await passNext()

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(numbers(20).map(() => 200))
    expect(hop.most).toBe(1)
  })

  it('20 thaws by MCP tools are prefilled one at a time', async () => {
    await start()
    await created('base')
    const agents = await Promise.all(numbers(20).map(() => overHttp(stack.url)))

    const results = agents.map((agent, i) =>
      agent.use('window_thaw', { window_name: 'base', new_session_id: `s-${i}` }),
    )
    for (const _ of results) await passNext()

    await Promise.all(results)
    await Promise.all(agents.map((agent) => agent.close()))
    expect(hop.most).toBe(1)
  })
})

describe('an operation of REST that finds no slot', () => {
  it('is answered 429 with a Retry-After, whose code names the limit', async () => {
    await start({ queue_ms: 50 })
    const first = put('first')
    await until('the first is at the engine', () => hop.held.length === 1)

    const second = await put('second')
    hop.open()
    await first

    expect(second.status).toBe(429)
    expect(errorOf(second)).toMatchObject({ code: 'rate_limit_exceeded' })
    expect(['1', '2', '3', '4']).toContain(second.headers['retry-after'])
    expect((await call(stack.url, 'GET', '/windows/second')).status).toBe(404)
  })

  it('leaves the queue with its client', async () => {
    await start()
    const first = put('first')
    await until('the first is at the engine', () => hop.held.length === 1)
    const client = new AbortController()
    const second = fetch(`${stack.url}/cwm/v1/windows/second`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(content('second')),
      signal: client.signal,
    }).catch(() => 'left')
    await queued(1)

    client.abort()
    await queued(0)

    expect(await second).toBe('left')
    hop.open()
    expect((await first).status).toBe(201)
    expect(hop.most).toBe(1)
  })
})

const queued = (count: number) =>
  until(`${count} waiting`, async () => (await metricOf(stack.url, 'cwm_requests_queued')) === count)

describe('background freezes', () => {
  const freeze = (name: string) => call(stack.url, 'POST', '/windows', { name, session_id: 'ann', wait: false })
  const begin = () => chat(stack.url, [user('Hello.')], { headers: { 'x-cwm-session': 'ann' } })

  it('run within the limit of their tenant, and are rejected before they reserve a name once 64 wait', async () => {
    await start()
    await begin()

    const accepted = await Promise.all(numbers(65).map((i) => freeze(`f-${i}`)))
    const refused = await freeze('one-more')

    expect(accepted.map(({ status }) => status)).toEqual(numbers(65).map(() => 202))
    expect(refused.status).toBe(429)
    expect(errorOf(refused)).toMatchObject({ code: 'overloaded' })
    expect((await call(stack.url, 'GET', '/windows/one-more')).status).toBe(404)
    for (const _ of accepted) await passNext()
    expect((await settled(stack.url, 'f-64')).state).toBe('frozen')
    expect(hop.most).toBe(1)
  })

  it('by header rather reject their turn than freeze nothing, and leave slots to requests', async () => {
    await start()
    await begin()
    for (const i of numbers(65)) await freeze(`f-${i}`)

    const headers = { 'x-cwm-session': 'ann', 'x-cwm-freeze': 'mine' }
    const body = { model: 'sim-model', messages: [user('Hello again.')] }
    const refused = await ask(stack.url, '/v1/chat/completions', { body, headers })
    const accepted = await ask(stack.url, '/v1/chat/completions', { body })

    expect([refused.status, accepted.status]).toEqual([429, 200])
    expect((await call(stack.url, 'GET', '/windows/mine')).status).toBe(404)
  })

  it('that wait when cwm stops are finished after its next start, and nothing hangs', async () => {
    await start({ drain_ms: 300 })
    await begin()
    await freeze('running')
    await until('the first is at the engine', () => hop.held.length === 1)
    await freeze('waiting')
    const first = put('first')
    await until('both are at the engine', () => hop.held.length === 2)
    const second = put('second')
    await queued(1)

    await stack.stop()
    hop.open()
    await stack.restart()

    // The first lost its engine, and the second never had it.
    expect(errorOf(await first)).toMatchObject({ code: 'window_failed' })
    expect(errorOf(await second)).toMatchObject({ code: 'shutting_down' })
    expect((await settled(stack.url, 'waiting')).state).toBe('frozen')
  })
})

describe('a delete', () => {
  it('is executed while every slot for requests is taken', async () => {
    await start({ max_in_flight: 1 })
    await created('old')
    const busy = put('busy')
    await until('it is at the engine', () => hop.held.length === 1)

    const deleted = jsonOf<DeletionJson>(await call(stack.url, 'DELETE', '/windows/old'))

    expect(deleted).toMatchObject({ state: 'done', residual_chunks: 0, lineage_retired: true })
    hop.open()
    expect((await busy).status).toBe(201)
  })
})
