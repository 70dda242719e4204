// Defects found by a review and a newcomer, each of which failed first: connections after errors, provenance of a frozen turn, full
// contexts, media ids across tenants, pins during a coordinator outage.

import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/logger.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite.ts'
import { ask, errorOf } from '../support/client.ts'
import { askChat, chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, type Stack, startCwm, startStack } from '../support/stack.ts'
import { pinsHeld, settled, thawByRest } from '../support/windows.ts'

let stack: Stack | undefined
let cwm: Cwm | undefined
let upstream: FakeUpstream | undefined

afterEach(async () => {
  await stack?.close()
  await cwm?.close()
  await upstream?.close()
  stack = cwm = upstream = undefined
})

const text = `${prose(700)}. The buoy is called Lomvi.`

describe('a connection after a server error', () => {
  // uvicorn closes it without an announcement: the next request on it, another tenant's, was answered with 502.
  it('is not reused', async () => {
    const spoilt = new WeakSet<object>()
    upstream = await startFakeUpstream((request, response, incoming) => {
      if (spoilt.has(incoming.socket)) incoming.socket.destroy()
      else if (request.body.includes('bad')) {
        spoilt.add(incoming.socket)
        sayJson(response, '{"error":{"message":"boom"}}', 500)
      } else sayJson(response, chatAnswer('hello'))
    })
    cwm = await startCwm(upstream.url, { connections: 1 })

    const bad = await askChat(cwm.url, [user('bad')], { headers: { authorization: 'Bearer one' } })
    const good = await askChat(cwm.url, [user('good')], { headers: { authorization: 'Bearer two' } })

    expect([bad.status, good.status]).toEqual([500, 200])
    expect(bad.text).toContain('boom')
  })
})

describe('a call that waits for a connection', () => {
  it('still ends at its deadline', async () => {
    upstream = await startFakeUpstream(() => new Promise(() => {}))
    cwm = await startCwm(upstream.url, { connections: 1 })
    const gone = new AbortController()
    const stuck = askChat(cwm.url, [user('never answered')]).catch(() => undefined)
    await until('the one connection is taken', async () => (upstream?.received.length === 1 ? true : undefined))

    const health = await ask(cwm.url, '/cwm/v1/health', { signal: gone.signal })

    expect(health.status).toBe(503)
    await cwm.close()
    cwm = undefined
    await stuck
  })
})

describe('a turn frozen by REST after its session was bound elsewhere', () => {
  it('keeps its lineage and parent', async () => {
    stack = await startStack()
    await chat(stack.url, [user(`${prose(600, 'alpha')}.`)], { headers: { 'x-cwm-freeze': 'alpha' } })
    await settled(stack.url, 'alpha')
    await chat(stack.url, [user(text)], { headers: { 'x-cwm-session': 'g' } })

    await thawByRest(stack.url, 'alpha', { session_id: 'g' })
    await ask(stack.url, '/cwm/v1/windows', { body: { name: 'own', session_id: 'g' } })

    const own = await settled(stack.url, 'own')
    expect(own).not.toHaveProperty('parent')
    expect(own.receipt?.cached_tokens).toBeGreaterThan(512)
  })
})

describe('a conversation that fills its context', () => {
  it('is frozen up to what the engine can hold, and reports that', async () => {
    stack = await startStack({ sim: { maxModelLen: 1024 } })
    stack.sim.script({ content: text.repeat(3) })
    const cut = await chat(stack.url, [user(text.slice(0, 2_400))], {
      headers: { 'x-cwm-freeze': 'full' },
      body: { max_tokens: 500 },
    })
    expect(cut.promptTokens).toBeGreaterThan(600)

    const window = await settled(stack.url, 'full')

    expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'l2', pinned: true } })
    expect(window.receipt?.notes?.join()).toContain('the context is full')
  })
})

describe('an engine that rejects a further turn', () => {
  it('leaves a window up to the last reply', async () => {
    stack = await startStack()
    // Rejects the prompts of both probes; the third is the turn's own.
    stack.sim.fault({
      path: '/tokenize',
      action: { kind: 'status', status: 400, body: { error: { message: 'too long' } } },
      times: 1,
    })
    await chat(stack.url, [user(text)], { headers: { 'x-cwm-freeze': 'w' } })

    const window = await settled(stack.url, 'w')

    expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'l2', pinned: true } })
    expect(window.receipt?.notes?.join()).toContain('up to the last reply')
  })
})

describe('content parts', () => {
  it.each([
    ['a media uuid', { type: 'image_url', image_url: null, uuid: 'invoice-1' }],
    ['embeddings as a part', { type: 'prompt_embeds', data: 'x' }],
  ])('with %s are rejected', async (_, part) => {
    stack = await startStack()

    const got = await askChat(stack.url, [{ role: 'user', content: [{ type: 'text', text: 'hi' }, part] }])

    expect(got.status).toBe(400)
    expect(errorOf(got)).toMatchObject({ code: 'forbidden_field', param: 'messages' })
    expect(stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/chat/completions')).toEqual([])
  })
})

describe('a plain path', () => {
  it('limits a chunked body too', async () => {
    stack = await startStack({ settings: { max_body_bytes: 2_048 } })
    const headers = ['host', 'localhost', 'content-type', 'application/json', 'transfer-encoding', 'chunked']

    const got = await ask(stack.url, '/tokenize', {
      method: 'POST',
      headers,
      body: JSON.stringify({ prompt: 'x'.repeat(100_000) }),
    })

    expect(got.status).toBe(413)
  })
})

describe('a thaw with its own cache_salt', () => {
  it('is rejected, because nothing that it restores could be used', async () => {
    stack = await startStack()
    await chat(stack.url, [user(text)], { headers: { 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')

    const got = await askChat(stack.url, [user('?')], {
      headers: { 'x-cwm-window': 'w' },
      body: { cache_salt: 'mine' },
    })

    expect(got.status).toBe(409)
    expect(errorOf(got)).toMatchObject({ code: 'window_mismatch', param: 'cache_salt' })
  })
})

describe('windows frozen while the coordinator is down', () => {
  it('are all pinned once it is back', async () => {
    stack = await startStack({
      settings: { reconcile_interval_ms: 100, verify_deadline_ms: 100, lmcache_timeout_ms: 500 },
    })
    await stack.sim.setOnline('coordinator', false)
    for (const name of ['one', 'two']) {
      await chat(stack.url, [user(`${text} ${name}`)], { headers: { 'x-cwm-session': name, 'x-cwm-freeze': name } })
      expect((await settled(stack.url, name)).receipt?.pinned).toBe(false)
    }

    await stack.sim.setOnline('coordinator', true)

    const { sim } = stack
    await until('both are pinned', async () => ((await pinsHeld(sim)) >= 2 * 4 ? true : undefined))
  })
})

describe('an interrupted freeze', () => {
  it('waits for an engine that is not up yet', async () => {
    stack = await startStack({ settings: { reconcile_interval_ms: 100 } })
    await chat(stack.url, [user(text)], { headers: { 'x-cwm-session': 's', 'x-cwm-freeze': 'cut' } })
    await settled(stack.url, 'cut')
    await stack.stop()
    const store = await openSqliteStore({ path: join(stack.dataDir, 'cwm.sqlite'), log: silentLogger })
    const record = await store.getWindow('anonymous', 'cut')
    await store.changeWindow('anonymous', 'cut', record?.id ?? '', { state: 'freezing' })
    await store.close()
    await stack.sim.setOnline('engine', false)
    await stack.restart()
    await until('the reconciler has tried', async () =>
      (await ask(stack?.url ?? '', '/cwm/metrics')).text.includes('cwm_repairs_left 1') ? true : undefined,
    )

    await stack.sim.setOnline('engine', true)

    expect((await settled(stack.url, 'cut')).state).toBe('frozen')
  })
})
