// Sessions that fill their context are frozen automatically, repeatedly, and within a budget.

import { afterEach, describe, expect, it } from 'vitest'
import type { PageJson } from '../../src/wire/lists.ts'
import type { SessionJson } from '../../src/wire/sessions.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, errorOf } from '../support/client.ts'
import { assistant, type ChatMessage, type ChatTurn, chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { listen } from '../support/event-stream.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, type StackOptions, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const LIMIT = 2048

let stack: Stack
afterEach(() => stack.close())

const start = (settings: StackOptions['settings'] = {}) =>
  startAs({ sim: { maxModelLen: LIMIT }, settings: { freeze_cooldown_ms: 0, ...settings } })

async function startAs(options: StackOptions): Promise<void> {
  stack = await startStack(options)
}

const automatic = async () =>
  (await rest<PageJson<WindowJson>>(stack.url, 'GET', '/windows?tag=auto&sort=created&order=asc')).data
const names = async () => (await automatic()).map(({ name }) => name.replace(/^auto\.[0-9a-f]{12}\./, ''))
const counted = async (line: string) => (await ask(stack.url, '/cwm/metrics')).text.includes(line)

const autoWindowOf = async (session: string) =>
  (await rest<SessionJson>(stack.url, 'GET', `/sessions/${session}`)).auto_window

/** A chat that grows to order. */
class Client {
  readonly history: ChatMessage[] = []
  readonly #session: string

  constructor(session: string) {
    this.#session = session
  }

  async turn(words: number, headers: Record<string, string> = {}): Promise<ChatTurn> {
    this.history.push(user(`${this.history.length}: ${prose(words)}`))
    const turn = await chat(stack.url, this.history, { headers: { 'x-cwm-session': this.#session, ...headers } })
    this.history.push(assistant(turn.reply.content ?? ''))
    return turn
  }

  /** Grows beyond a share of the limit, a little per turn. */
  async fill(share: number): Promise<number> {
    for (;;) {
      const { got } = await this.turn(20)
      const used = Number(String(got.headers['x-cwm-context']).split('/')[0])
      if (used >= share * LIMIT) return used
    }
  }

  /** The nth automatic window, once it is frozen. */
  async window(n: number): Promise<WindowJson> {
    const name = await until(`automatic window ${n}`, async () => (await automatic())[n - 1]?.name)
    return await settled(stack.url, name)
  }
}

/** The share of the context in use at the freeze. The list of freezes does not have it, because they run after the answers. */
const tokensOf = ({ receipt }: WindowJson) => receipt?.tokens ?? 0

/** A turn is answered and everything it started has ended, because the session's next request waits for that. */
const noWindowOf = async (client: Client) => {
  await client.turn(1)
  return await automatic()
}

describe('a session that fills its context', () => {
  it('is frozen after the answer, under a generated name, with its KV', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    await ann.fill(0.75)

    const window = await ann.window(1)

    expect(window.name).toMatch(/^auto\.[0-9a-f]{12}\.1$/)
    expect(window).toMatchObject({ state: 'frozen', origin: 'session', session_id: 'ann', tags: ['auto'] })
    expect(window.messages).toBe(ann.history.length)
    expect(window.receipt).toMatchObject({ durability: 'l2', pinned: true })
    await until('it is counted', () => counted('cwm_auto_freezes_total{outcome="l2"} 1'))
  })

  it('is frozen again after another tenth of the limit, and not earlier', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    const first = await ann.fill(0.75)
    const one = await ann.window(1)

    await ann.fill((first + 0.1 * LIMIT) / LIMIT)
    const two = await ann.window(2)

    expect(tokensOf(two) - tokensOf(one)).toBeGreaterThanOrEqual(Math.floor(0.1 * LIMIT))
    expect(await names()).toEqual(['1', '2'])
  })

  it('is frozen again while it grows after becoming smaller', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    await ann.fill(0.75)
    await ann.window(1)
    ann.history.splice(0, ann.history.length - 2)
    await ann.turn(1)
    await ann.turn(300)
    await ann.fill(0.75)

    await ann.window(2)

    expect(await names()).toEqual(['1', '2'])
  })

  it('is not frozen again before the cooldown is over', async () => {
    await start({ freeze_cooldown_ms: 600_000 })
    const ann = new Client('ann')
    await ann.turn(300)
    await ann.fill(0.75)
    await ann.window(1)
    await ann.fill(0.9)

    expect(await noWindowOf(ann)).toHaveLength(1)
  })

  it('is never frozen if the share is 0', async () => {
    await start({ freeze_at: 0 })
    const ann = new Client('ann')
    await ann.turn(300)
    await ann.fill(0.8)

    expect(await noWindowOf(ann)).toEqual([])
  })

  it('is not frozen if its client froze it with the same turn', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    await ann.fill(0.7)
    await ann.turn(60, { 'x-cwm-freeze': 'by-hand' })
    await settled(stack.url, 'by-hand')

    const noted = await until('the freeze is noted', () => autoWindowOf('ann'))

    expect(noted).toBe('by-hand')
    expect(await noWindowOf(ann)).toEqual([])
  })

  it('keeps its freezes across a restart of cwm', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    const first = await ann.fill(0.75)
    const one = await ann.window(1)
    await stack.restart()
    await ann.fill((first + 0.1 * LIMIT) / LIMIT)

    const two = await ann.window(2)

    expect(tokensOf(two) - tokensOf(one)).toBeGreaterThanOrEqual(Math.floor(0.1 * LIMIT))
    expect(await names()).toEqual(['1', '2'])
  })

  it('is frozen with a later turn if the first attempt failed', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })
    await ann.fill(0.75)
    const failed = await ann.window(1)
    stack.sim.clearFaults()

    // The failure is visible slightly before the session may be frozen again.
    await until('a second automatic window', async () => {
      await ann.turn(1)
      return (await automatic())[1]
    })

    expect(failed.state).toBe('failed')
    expect((await ann.window(2)).state).toBe('frozen')
  })

  it('can be restored unchanged from its window', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    await ann.fill(0.75)
    const { name, receipt } = await ann.window(1)
    await stack.sim.restartEngine()
    await stack.sim.restartLmcache()

    const turn = await chat(stack.url, [user('And now?')], {
      headers: { 'x-cwm-window': name, 'x-cwm-session': 'ben' },
    })

    expect(Number(turn.got.headers['x-cwm-restored'])).toBe(receipt?.restorable_tokens)
  })
})

describe('names that start with auto.', () => {
  it('are rejected from clients', async () => {
    await start()

    const got = await call(stack.url, 'PUT', '/windows/auto.0123456789ab.1', { model: 'sim-model', document: 'x' })

    expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
  })

  it('are skipped if an earlier session of the same name has used them', async () => {
    await start()
    const ann = new Client('ann')
    await ann.turn(300)
    await ann.fill(0.75)
    await ann.window(1)
    await rest(stack.url, 'DELETE', '/sessions/ann')
    const again = new Client('ann')
    await again.turn(300)
    await again.fill(0.75)

    await again.window(2)

    expect(await names()).toEqual(['1', '2'])
  })
})

describe('the budget of automatic windows', () => {
  /** Sessions that were frozen once each. */
  const fillAll = async (...sessions: readonly string[]) => {
    for (const session of sessions) {
      const client = new Client(session)
      await client.turn(300)
      await client.fill(0.75)
      await until(`${session} is frozen`, async () => {
        const name = await autoWindowOf(session)
        return name === undefined ? undefined : settled(stack.url, name)
      })
    }
  }
  const sessionsOf = async () => (await automatic()).map(({ session_id }) => session_id)

  it('drops the oldest window of a session', async () => {
    await start({ max_auto_windows_per_session: 1 })
    const ann = new Client('ann')
    await ann.turn(300)
    const first = await ann.fill(0.75)
    await ann.window(1)
    const ear = await listen(stack.url, {}, '?kinds=deleted')

    await ann.fill((first + 0.1 * LIMIT) / LIMIT)

    const [told] = await ear.events(1)
    expect(told?.data).toMatchObject({ session_id: 'ann', window: expect.stringMatching(/\.1$/), why: 'budget' })
    await until('the first one is dropped', async () => (await names()).join() === '2')
    expect(
      (await rest<{ data: { name: string; state: string }[] }>(stack.url, 'GET', '/deletions')).data,
    ).toMatchObject([{ name: expect.stringMatching(/\.1$/) }])
  })

  it("drops a tenant's oldest window of any session, and no manual one, whatever its tags", async () => {
    await start({ max_auto_windows: 1 })
    await fillAll('ann')
    await rest(stack.url, 'POST', '/windows', { name: 'by-hand', session_id: 'ann', tags: ['auto'] })

    await fillAll('ben')

    await until('one is left', async () => (await automatic()).length === 2)
    expect(await sessionsOf()).toEqual(['ann', 'ben'])
    expect((await automatic()).map(({ name }) => name)[0]).toBe('by-hand')
  })

  it('keeps a window that another session continues', async () => {
    await start({ max_auto_windows: 1 })
    await fillAll('ann')
    const [window] = await automatic()
    await chat(stack.url, [user('Go on.')], {
      headers: { 'x-cwm-session': 'zoe', 'x-cwm-window': window?.name ?? '' },
    })
    await fillAll('ben', 'cid')

    await until('one goes', async () => (await automatic()).length === 2)

    expect(await sessionsOf()).toEqual(['ann', 'cid'])
    expect(
      (await chat(stack.url, [user('Go on.'), assistant('x'), user('?')], { headers: { 'x-cwm-session': 'zoe' } })).got
        .status,
    ).toBe(200)
  })

  it('deletes the oldest automatic windows when the limit on windows is reached', async () => {
    await start({ max_windows: 2 })
    const ann = new Client('ann')
    await ann.turn(300)
    const first = await ann.fill(0.75)
    await ann.window(1)
    await rest(stack.url, 'POST', '/windows', { name: 'by-hand', session_id: 'ann' })

    await ann.fill((first + 0.1 * LIMIT) / LIMIT)

    await until('the oldest went for it', async () => (await names()).join() === '2')
    expect((await call(stack.url, 'GET', '/windows/by-hand')).status).toBe(200)
  })

  it('never deletes a manual window: the freeze is rejected and counted', async () => {
    await start({ max_windows: 1 })
    const ann = new Client('ann')
    await ann.turn(300)
    await rest(stack.url, 'POST', '/windows', { name: 'by-hand', session_id: 'ann' })

    await ann.fill(0.75)

    await until('it is counted', () => counted('cwm_auto_freezes_total{outcome="refused"} 1'))
    expect(await automatic()).toEqual([])
  })
})
