// With an LMCache that evicts per salt (IsolatedLRU), each salt gets a quota before its first dispatch, so that its chunks stay.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { PageJson } from '../../src/wire/lists.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, jsonOf } from '../support/client.ts'
import { chat, prose, saltsIn, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let stack: Stack
beforeEach(() => stack.sim.requests.clear())

/** Quota calls that LMCache's first server received: method and gigabytes. */
const told = () =>
  stack.sim.requests
    .all('lmcache')
    .filter(({ path }) => path.startsWith('/quota/'))
    .map(({ method, path, body, at }) => ({
      method,
      path,
      at,
      gb: body.length === 0 ? undefined : JSON.parse(`${body}`).limit_gb,
    }))

describe('if a server evicts per salt', () => {
  beforeAll(async () => {
    stack = await startStack({ sim: { isolatedLru: true }, settings: { kv_quota_gb: 3 } })
  })
  afterAll(() => stack.close())

  it('a salt gets its quota before its first turn, once, and its chunks survive an engine restart', async () => {
    const headers = { 'x-cwm-session': 'kept' }
    const first = await chat(stack.url, [user(prose(600))], { headers })
    const history = [user(prose(600)), first.reply, user('go on')]
    await chat(stack.url, history, { headers })

    const [dispatch] = stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/chat/completions')
    const [salt] = saltsIn(dispatch?.body ?? Buffer.alloc(0))
    expect(told()).toEqual([{ method: 'PUT', path: `/quota/${salt}`, at: expect.any(Number), gb: 3 }])
    expect(told()[0]?.at).toBeLessThanOrEqual(dispatch?.at ?? 0)

    await stack.sim.restartEngine()
    await stack.sim.restartLmcache()
    expect((await chat(stack.url, [...history, user('and on')], { headers })).cachedTokens).toBeGreaterThan(0)
  })

  it('a window created from messages gets its quota before it is warmed, and keeps its chunks', async () => {
    const body = { model: 'sim-model', messages: [user(prose(600, 'canal'))] }
    await ask(stack.url, '/cwm/v1/windows/loaded', { method: 'PUT', body })
    const window = await settled(stack.url, 'loaded')

    expect(window.receipt).toMatchObject({ durability: 'l2' })
    expect(told().map(({ method }) => method)).toEqual(['PUT'])
  })

  it('the quota is removed when the last holder of the lineage is gone', async () => {
    const { session } = await chat(stack.url, [user(prose(600, 'ferry'))], { headers: { 'x-cwm-session': 'gone' } })
    const ended = await ask(stack.url, `/cwm/v1/sessions/${session}`, { method: 'DELETE' })

    expect(jsonOf(ended)).toMatchObject({ lineage_retired: true, residual_chunks: 0 })
    await until('the quota is taken back', () => told().some(({ method }) => method === 'DELETE'))
    const [put, taken] = [told()[0], told().at(-1)]
    expect(taken).toMatchObject({ method: 'DELETE', path: put?.path })
  })

  it('a turn is forwarded even if LMCache rejects the quota', async () => {
    stack.sim.fault({ server: 'lmcache', path: '/quota/*', times: Infinity, action: { kind: 'status', status: 500 } })

    expect((await chat(stack.url, [user('hello')])).got.status).toBe(200)
    stack.sim.clearFaults()
  })
})

/** In the simulator a token takes 8 KiB: 655 tokens, two chunks of 256. */
const SMALL_QUOTA_GB = 0.005

describe('a window larger than its salt may hold', () => {
  let small: Stack
  beforeAll(async () => {
    small = await startStack({
      sim: { isolatedLru: true, maxModelLen: 1_200 },
      settings: { kv_quota_gb: SMALL_QUOTA_GB, freeze_cooldown_ms: 0 },
    })
    await chat(small.url, [user(prose(270, 'first'))], { headers: { 'x-cwm-freeze': 'fits' } })
    await settled(small.url, 'fits')
  })
  afterAll(() => small.close())

  it('that fits is frozen, and its receipt has the bytes of a chunk', async () => {
    const window = await settled(small.url, 'fits')

    expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'l2', chunk_bytes: 2 * 1024 * 1024 } })
  })

  it('is refused with the number, before anything is computed', async () => {
    small.sim.requests.clear()
    const body = { model: 'sim-model', messages: [user(prose(450, 'harbor'))] }
    await ask(small.url, '/cwm/v1/windows/large', { method: 'PUT', body })
    const window = await settled(small.url, 'large')

    expect(window.state).toBe('failed')
    expect(window.reason).toMatch(
      /^window large has \d+ tokens, 0\.01 GiB of KV, .* kv_quota_gb is 0\.005, which holds 655 tokens of this model\. Freeze fewer messages, or raise kv_quota_gb$/,
    )
    expect(small.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions')).toEqual([])
  })

  it('keeps its text if cwm freezes it on its own', async () => {
    await chat(small.url, [user(prose(510, 'lighthouse'))], { headers: { 'x-cwm-session': 'long' } })

    const [found] = await until('the automatic window', async () => {
      const { data } = await rest<PageJson<WindowJson>>(small.url, 'GET', '/windows?tag=auto')
      return data.length > 0 ? data : undefined
    })
    const window = await settled(small.url, found?.name ?? '')

    expect(window).toMatchObject({ state: 'frozen', pin: 'none', receipt: { durability: 'text', pinned: false } })
    expect(window.receipt?.warnings).toEqual([
      expect.stringMatching(/^only the text is stored: window auto\..* 655 tokens/),
    ])
  })
})

describe('if no server does', () => {
  let plain: Stack
  beforeAll(async () => {
    plain = await startStack()
  })
  afterAll(() => plain.close())

  it('no quota is set', async () => {
    await chat(plain.url, [user(prose(600))], { headers: { 'x-cwm-freeze': 'w' } })
    await settled(plain.url, 'w')

    expect(plain.sim.requests.all().filter(({ path }) => path.startsWith('/quota'))).toEqual([])
  })
})
