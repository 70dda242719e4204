// A receipt stays true: the session says what became of a thaw's KV if its first turn did not find it.

import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../../src/config/schema.ts'
import { type Sim, type SimOptions, startSim } from '../../../src/sim/index.ts'
import type { SessionJson } from '../../../src/wire/sessions.ts'
import { ask } from '../../support/client.ts'
import { chat, user } from '../../support/conversation.ts'
import { frozenSession, rest } from '../../support/rest.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'

let sim: Sim
let cwm: Cwm

afterEach(async () => {
  await cwm.close()
  await sim.close()
})

async function start(options: SimOptions, upstream: (sim: Sim) => Settings['upstream'], more: Partial<Settings> = {}) {
  sim = await startSim({ eventFlushMs: 0, engines: 2, ...options })
  cwm = await startCwm('http://127.0.0.1:9', { upstream: upstream(sim), coordinator: sim.coordinatorUrl, ...more })
  await frozenSession(cwm.url)
  await rest(cwm.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
}

const listed = (stack: Sim): Settings['upstream'] =>
  stack.engines.map(({ url, instanceId }) => ({ url, lmcache_instance: instanceId })) as unknown as Settings['upstream']

/** The engine that has received the warm calls. */
const warmed = () => {
  const engine = sim.engines.find(({ name }) => sim.requests.all(name).some(({ path }) => path === '/v1/completions'))
  if (engine === undefined) throw new Error('no engine was warmed')
  return engine
}

async function nextTurn(body: object = {}): Promise<SessionJson> {
  await chat(cwm.url, [user('What is the buoy called?')], { headers: { 'x-cwm-session': 'bob' }, body })
  return await rest<SessionJson>(cwm.url, 'GET', '/sessions/bob')
}

describe('the first turn after a thaw', () => {
  it('is silent if it finds what the thaw has warmed', async () => {
    await start({ l2Adapters: [] }, listed)

    expect((await nextTurn()).thaw_loss).toBeUndefined()
    expect((await ask(cwm.url, '/cwm/metrics')).text).toContain('cwm_thaw_checks_total{outcome="kept"} 1')
  })

  it('says moved if another engine serves it, which cannot load the KV', async () => {
    await start({ l2Adapters: [] }, listed)
    await sim.kill(warmed().name)

    const { thaw_loss: loss, thaw } = await nextTurn()

    expect(loss).toMatchObject({ cause: 'moved', cached_tokens: 0 })
    expect(loss?.expected_tokens).toBeGreaterThanOrEqual(512)
    expect(JSON.stringify(thaw)).not.toContain('127.0.0.1')
  })

  it('is silent if another engine serves it and loads the KV from the shared L2', async () => {
    const address = { host: 'redis', port: 6379 }
    await start({ l2Adapters: ['resp'], sharedL2: ['resp'], redisAddress: address }, listed)
    await sim.kill(warmed().name)

    expect((await nextTurn()).thaw_loss).toBeUndefined()
  })

  it('says evicted if the same engine has lost it', async () => {
    await start({ l2Adapters: [], engines: 1 }, (stack) => stack.engineUrl)
    await sim.restartLmcache()
    await sim.restartEngine()

    expect((await nextTurn()).thaw_loss).toMatchObject({ cause: 'evicted', cached_tokens: 0 })
  })

  it('does not know why behind a router', async () => {
    await start({ l2Adapters: [], engines: 1 }, (stack) => stack.engineUrl, {
      affinity: 'header:x-flow',
    } as Partial<Settings>)
    await sim.restartLmcache()
    await sim.restartEngine()

    expect((await nextTurn()).thaw_loss).toMatchObject({ cause: 'unknown' })
  })

  it('is silent if its own tools change the prompt', async () => {
    await start({ l2Adapters: [] }, listed)
    const tools = [{ type: 'function', function: { name: 'look', description: 'Looks around', parameters: {} } }]

    expect((await nextTurn({ tools })).thaw_loss).toBeUndefined()
  })
})

describe('a loss', () => {
  it('is sent as an event, and is gone after the next thaw', async () => {
    await start({ l2Adapters: [], engines: 1 }, (stack) => stack.engineUrl)
    await sim.restartLmcache()
    await sim.restartEngine()
    await nextTurn()
    await rest(cwm.url, 'POST', '/windows/w/thaw', { session_id: 'bob', replace: true })

    expect((await rest<SessionJson>(cwm.url, 'GET', '/sessions/bob')).thaw_loss).toBeUndefined()
    expect((await nextTurn()).thaw_loss).toBeUndefined()
  })
})
