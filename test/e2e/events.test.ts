// Events over HTTP: what is reported about a chat, to whom, and that nothing is silently lost between two connections.

import { afterEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import { ask, errorOf } from '../support/client.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type Ear, listen } from '../support/event-stream.ts'
import { call, deleteWindow, endSession, frozenSession, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
const ears: Ear[] = []

afterEach(async () => {
  for (const ear of ears.splice(0)) ear.leave()
  await stack.close()
})

async function hear(headers: Record<string, string> = {}, query = ''): Promise<Ear> {
  const ear = await listen(stack.url, headers, query)
  ears.push(ear)
  return ear
}

/** Starts and ends a session, which causes one event. */
async function passing(id: string, headers: Record<string, string> = {}): Promise<void> {
  await chat(stack.url, [user('hello')], { headers: { 'x-cwm-session': id, ...headers } })
  await until(
    'the turn is stored',
    async () => (await call(stack.url, 'GET', `/sessions/${id}`, undefined, headers)).status === 200,
  )
  await endSession(stack.url, id, headers)
}

const sessionsIn = (ear: Ear) => ear.heard.map(({ data }) => data.session_id)

it('reports freeze, thaw, and deletes of a chat in order, with ids and figures but no content', async () => {
  stack = await startStack()
  const ear = await hear()

  const { receipt } = await frozenSession(stack.url, { session: 'ann', window: 'w' })
  await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
  const deleted = await deleteWindow(stack.url, 'w')
  await endSession(stack.url, 'bob')
  const heard = await ear.events(4)

  expect(heard.map(({ event }) => event)).toEqual(['frozen', 'thawed', 'deleted', 'deleted'])
  expect(heard[0]).toEqual({
    id: expect.any(String),
    event: 'frozen',
    data: {
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      kind: 'frozen',
      session_id: 'ann',
      window: 'w',
      state: 'frozen',
      origin: 'session',
      durability: 'l2',
      tokens: receipt?.tokens,
      restorable_tokens: receipt?.restorable_tokens,
      ms: expect.any(Number),
    },
  })
  expect(heard[1]?.data).toMatchObject({ session_id: 'bob', window: 'w', tokens: receipt?.tokens, drift: false })
  expect(heard[1]?.data.restored_tokens).toBeGreaterThan(0)
  expect(heard[2]?.data).toMatchObject({
    session_id: 'ann',
    window: 'w',
    why: 'asked',
    deletion_id: deleted.id,
    lineage_retired: false,
  })
  expect(heard[3]?.data).toMatchObject({ session_id: 'bob', why: 'asked', deleted_chunks: expect.any(Number) })
  expect(JSON.stringify(heard)).not.toContain('Lomvi')
  expect(ear.headers).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  })
})

it('reports a failed freeze', async () => {
  stack = await startStack()
  const ear = await hear()
  stack.sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500, body: {} } })

  await frozenSession(stack.url, { session: 'ann', window: 'w' })

  expect((await ear.events(1))[0]?.data).toEqual({
    at: expect.any(String),
    kind: 'frozen',
    session_id: 'ann',
    window: 'w',
    state: 'failed',
    origin: 'session',
  })
})

describe('a client that reconnects', () => {
  it('continues after the last event that it received, even across a restart of cwm', async () => {
    stack = await startStack()
    const before = await hear()
    await passing('a')
    await before.events(1)
    before.leave()
    await passing('b')
    await stack.restart()
    await passing('c')

    const after = await hear({ 'last-event-id': before.lastId() ?? '' })
    await passing('d')
    await after.events(3)

    expect(sessionsIn(after)).toEqual(['b', 'c', 'd'])
  })

  it('continues from where it started if it was disconnected before the first event', async () => {
    stack = await startStack()
    await passing('earlier')
    const before = await hear()
    before.leave()
    await passing('a')

    const after = await hear({}, `?last_event_id=${before.lastId()}`)
    await after.events(1)

    expect(sessionsIn(after)).toEqual(['a'])
  })

  it('is first told that events were dropped meanwhile, and then receives the rest', async () => {
    stack = await startStack({ settings: { events_keep: 2 } })
    const before = await hear()
    before.leave()
    for (const id of ['a', 'b', 'c']) await passing(id)

    const after = await hear({ 'last-event-id': before.lastId() ?? '' })
    const heard = await after.events(3)

    expect(heard[0]).toEqual({
      id: undefined,
      event: 'missed',
      data: { at: expect.stringMatching(/^\d{4}-.*Z$/), kind: 'missed' },
    })
    expect(sessionsIn(after)).toEqual([undefined, 'b', 'c'])
  })

  it('is told the same for an invalid id', async () => {
    stack = await startStack()

    const ear = await hear({ 'last-event-id': 'made up' })

    expect((await ear.events(1))[0]?.event).toBe('missed')
  })
})

describe('tenants', () => {
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
  const [acme, other, operator] = ['sk-acme-0123456789', 'sk-other-012345678', 'operator-key-0123456789'].map(
    bearer,
  ) as [ReturnType<typeof bearer>, ReturnType<typeof bearer>, ReturnType<typeof bearer>]
  const keysOf = ({ authorization }: { authorization: string }) => [
    { name: 'main', sha256: keyHash(authorization.slice(7)) },
  ]
  const tenants: NonNullable<Settings['tenants']> = [
    { id: 'acme', keys: keysOf(acme) },
    { id: 'other', keys: keysOf(other) },
  ]
  const start = async () => {
    stack = await startStack({ settings: { tenants, operator_key: operator.authorization.slice(7) } })
  }

  it('receive their own events; the operator receives all with their tenant, or those of one', async () => {
    await start()
    const own = await hear(acme)
    const all = await hear(operator)
    const one = await hear({ ...operator, 'x-cwm-tenant': 'other' })

    await passing('theirs', other)
    await passing('mine', acme)
    await Promise.all([own.events(1), all.events(2), one.events(1)])

    expect(own.heard.map(({ data }) => [data.session_id, data.tenant])).toEqual([['mine', undefined]])
    expect(all.heard.map(({ data }) => [data.session_id, data.tenant])).toEqual([
      ['theirs', 'other'],
      ['mine', 'acme'],
    ])
    expect(sessionsIn(one)).toEqual(['theirs'])
  })

  it('receive nothing of others with a foreign event id', async () => {
    await start()
    const all = await hear(operator)
    await passing('theirs', other)
    await all.events(1)
    await passing('theirs-too', other)
    await passing('mine', acme)

    const own = await hear({ ...acme, 'last-event-id': all.lastId() ?? '' })
    await own.events(1)

    expect(sessionsIn(own)).toEqual(['mine'])
  })

  it('find no events from before they were erased', async () => {
    await start()
    const ear = await hear(acme)
    ear.leave()
    await passing('mine', acme)

    await rest(stack.url, 'DELETE', '/tenants/me', undefined, acme)
    await chat(stack.url, [user('again')], { headers: { 'x-cwm-session': 'new', ...acme } })
    await passing('last', acme)

    const later = await hear({ ...acme, 'last-event-id': ear.lastId() ?? '' })
    await later.events(1)
    expect(sessionsIn(later)).toEqual(['last'])
  })

  it.each([
    ['no key', {}, 401, 'unauthorized'],
    ['a tenant named by a tenant', { ...acme, 'x-cwm-tenant': 'other' }, 401, 'unauthorized'],
    ['a page of another origin', { ...acme, origin: 'https://evil.example' }, 403, 'forbidden_host'],
  ])('are rejected with %s', async (_, headers, status, code) => {
    await start()

    const got = await ask(stack.url, '/cwm/v1/events', { headers })

    expect(got.status).toBe(status)
    expect(errorOf(got).code).toBe(code)
  })
})

describe('a subscriber', () => {
  it('may request some kinds only', async () => {
    stack = await startStack()
    const ear = await hear({}, '?kinds=thawed,deleted')

    await frozenSession(stack.url, { window: 'w' })
    await deleteWindow(stack.url, 'w')
    await ear.events(1)

    expect(ear.heard.map(({ event }) => event)).toEqual(['deleted'])
  })

  it('is told which field is invalid', async () => {
    stack = await startStack()

    const got = await ask(stack.url, '/cwm/v1/events?kinds=frozen,melted')

    expect(got.status).toBe(400)
    expect(errorOf(got)).toMatchObject({ code: 'invalid_field', param: expect.stringContaining('kinds') })
  })

  it('is one of at most sixteen per tenant; leaving frees the place', async () => {
    stack = await startStack()
    const all = await Promise.all(Array.from({ length: 16 }, () => hear()))
    expect((await ask(stack.url, '/cwm/v1/events')).status).toBe(503)
    expect((await hear({ authorization: 'Bearer another' })).status).toBe(200)

    all[0]?.leave()

    await until(
      'there is room again',
      async () => (await ask(stack.url, '/cwm/v1/events', { method: 'HEAD' })).status === 200,
    )
    expect((await hear()).status).toBe(200)
  })

  it('does not delay shutdown, and its stream ends cleanly', async () => {
    stack = await startStack({ settings: { drain_ms: 60_000 } })
    const ear = await hear()

    await stack.stop()

    expect(await ear.ended()).toBe(true)
  })
})
