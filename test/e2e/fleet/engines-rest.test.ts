// The operator's view of several engines: REST, the audit log, events, metrics and health.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AuditEntryJson } from '../../../src/wire/audit.ts'
import type { EngineJson, EngineListJson } from '../../../src/wire/engines.ts'
import type { HealthJson } from '../../../src/wire/health.ts'
import type { PageJson } from '../../../src/wire/lists.ts'
import { ask, errorOf, jsonOf } from '../../support/client.ts'
import { askChat, chat, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { listen } from '../../support/event-stream.ts'
import { call, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const key = 'operator-0123456'
const operator = { authorization: `Bearer ${key}` }
const engineKey = 'sk-of-the-second-engine'

let stack: Stack
let first: string
let second: string

beforeEach(async () => {
  stack = await startStack({
    sim: { engines: 2, servers: 2 },
    upstream: (sim) => sim.engines[0]?.url ?? '',
    settings: { operator_key: key },
  })
  first = stack.sim.engines[0]?.url ?? ''
  second = stack.sim.engines[1]?.url ?? ''
  await stack.restart({
    upstream: [
      { url: first, weight: 1, drain: false, lmcache_instance: stack.sim.engines[0]?.instanceId ?? '' },
      { url: second, weight: 2, drain: false, key: engineKey },
    ],
  })
})
afterEach(() => stack.close())

const list = async () => (await rest<EngineListJson>(stack.url, 'GET', '/engines', undefined, operator)).data
const post = (what: string, engine: string, headers = operator) =>
  call(stack.url, 'POST', `/engines/${what}`, { engine }, headers)
const turn = (session: string) => chat(stack.url, [user('hi')], { headers: { 'x-cwm-session': session } })
const turnsAt = (index: number) =>
  stack.sim.requests.all(stack.sim.engines[index]?.name ?? 'engine').filter(({ path }) => path.includes('chat')).length

describe('the list of engines', () => {
  it('shows each with its state, work and LMCache server, and never a key', async () => {
    await turn('ann')

    const engines = await list()

    expect(engines).toMatchObject([
      { id: first, weight: 1, state: 'up', in_flight: 0, lmcache_instance: stack.sim.engines[0]?.instanceId },
      { id: second, weight: 2, state: 'up', in_flight: 0, lmcache_instance: null },
    ])
    expect(engines.map(({ models }) => models)).toEqual([[stack.sim.model], [stack.sim.model]])
    expect(engines.reduce((sum, { placements }) => sum + (placements ?? 0), 0)).toBe(1)
    const texts = await Promise.all(
      ['/cwm/v1/engines', '/cwm/v1/health', '/cwm/metrics'].map((path) => ask(stack.url, path, { headers: operator })),
    )
    expect(texts.map(({ text }) => text.includes(engineKey))).toEqual([false, false, false])
  })

  it('is for the operator only', async () => {
    const none = await call(stack.url, 'GET', '/engines')
    const tenant = await post('drain', first, { authorization: 'Bearer sk-somebody' })

    expect([none.status, tenant.status]).toEqual([401, 401])
  })
})

describe('an engine that is drained', () => {
  it('gets no turn, also after a restart, until it is resumed', async () => {
    const report = jsonOf<EngineJson>(await post('drain', first))
    await stack.restart()
    for (const session of ['a', 'b', 'c', 'd', 'e', 'f']) await turn(session)

    expect(report).toMatchObject({ id: first, state: 'draining', drained_by: 'operator', drained: true, placements: 0 })
    expect([turnsAt(0), turnsAt(1)]).toEqual([0, 6])
    expect(jsonOf<EngineJson>(await post('resume', `${first}/v1/`))).toMatchObject({ drained_by: null, drained: false })
    expect((await list()).map(({ state }) => state)).toEqual(['up', 'up'])
  })

  it('loses its sessions with their next turns, and is recorded, reported and counted', async () => {
    const ear = await listen(stack.url, operator, '?kinds=engine')
    for (const session of ['a', 'b', 'c', 'd', 'e', 'f']) await turn(session)
    const before = (await list()).map(({ placements }) => placements ?? 0)
    await post('drain', second)
    for (const session of ['a', 'b', 'c', 'd', 'e', 'f']) await turn(session)

    const [left, drained] = await list()
    expect(before.reduce((sum, count) => sum + count, 0)).toBe(6)
    expect([left?.placements, drained?.placements]).toEqual([6, 0])
    const { data } = await rest<PageJson<AuditEntryJson>>(stack.url, 'GET', '/audit', undefined, operator)
    expect(data.find(({ action }) => action === 'drain')).toMatchObject({
      ...{ tenant: '*', actor: 'operator', target: 'engine', name: second, outcome: 'ok' },
    })
    const [event] = await ear.events(1)
    expect(event?.data).toMatchObject({ tenant: '*', kind: 'engine', engine: second, state: 'draining' })
    const { text } = await ask(stack.url, '/cwm/metrics', { headers: operator })
    const label = second.replace('http://', '')
    expect(text).toContain(`cwm_engine_draining{engine="${label}"} 1`)
    expect(text).toContain(`cwm_engine_placements_moved_total{engine="${label}"} ${before[1]}`)
    expect(text).toContain('cwm_upstream_breaker_state 0')
    ear.leave()
  })

  it('is none that cwm does not have, and never the last one that works', async () => {
    await post('drain', first)

    const [last, unknown, garbled] = await Promise.all([
      post('drain', second),
      post('drain', 'http://127.0.0.1:1'),
      post('resume', 'first'),
    ])

    expect([last.status, errorOf(last).code]).toEqual([409, 'last_engine'])
    expect([unknown.status, errorOf(unknown).code]).toEqual([404, 'engine_not_found'])
    expect([garbled.status, errorOf(garbled).param]).toEqual([400, 'engine'])
  })
})

describe('health', () => {
  it('names the engine that is down, is degraded then, and cwm stays ready and answers', async () => {
    await stack.restart({ engine_health_interval_ms: 50 })
    await stack.sim.setOnline(stack.sim.engines[0]?.name ?? 'engine', false)
    await until('cwm knows', async () => (await list())[0]?.state === 'down')

    const [health, ready, theirs] = await Promise.all([
      ask(stack.url, '/cwm/v1/health', { headers: operator }),
      ask(stack.url, '/cwm/readyz'),
      ask(stack.url, '/cwm/v1/health'),
    ])

    expect([health.status, ready.status]).toEqual([200, 200])
    const { status, upstream, engines } = jsonOf<HealthJson>(health)
    expect([status, upstream.ok]).toEqual(['degraded', true])
    expect(engines).toMatchObject([
      { id: first, ok: false, state: 'down' },
      { id: second, ok: true, state: 'up' },
    ])
    // Whoever has no operator's key learns how cwm is, and not where its engines are.
    expect(jsonOf<HealthJson>(theirs)).toMatchObject({ status, upstream, engines: [] })
    expect(theirs.text).not.toContain(new URL(first).port)
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => askChat(stack.url, [user(name)])))
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200])
  })
})
