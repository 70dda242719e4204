// Redis is slow, cut off, down and back: chats continue, isolated; operations that need the store fail with an error; nothing waits long;
// and everything works as before afterwards.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, errorOf, type Got, jsonOf } from '../../support/client.ts'
import { askChat, type ChatMessage, chat, prose, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { KEEPS_EVERY_WRITE, RedisServer, skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { startCwm } from '../../support/stack.ts'
import { settled } from '../../support/windows.ts'

/** A second for the store, plus what everything else takes on a busy machine. */
const SOON_MS = 2_000

const named = (id: string, more: Record<string, string> = {}) => ({ headers: { 'x-cwm-session': id, ...more } })

/** The answer, which must arrive quickly. */
async function soon(asked: Promise<Got>): Promise<Got> {
  const from = performance.now()
  const got = await asked
  expect(performance.now() - from).toBeLessThan(SOON_MS)
  return got
}

const degraded = (got: Got) => got.headers['x-cwm-degraded']

describe.skipIf(skipsRedis)('without Redis', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet({ redis: KEEPS_EVERY_WRITE })
  })
  afterEach(() => fleet?.close())

  /** The outage, for the second proxy or for both, and how it ends. */
  const outages: readonly (readonly [string, () => Promise<() => Promise<void> | void>])[] = [
    [
      'that stops',
      async () => {
        fleet.redis.pause()
        return () => fleet.redis.goOn()
      },
    ],
    [
      'that stops and is restarted',
      async () => {
        await fleet.redis.kill()
        return () => fleet.redis.startAgain()
      },
    ],
    [
      'that the network cuts off',
      async () => {
        fleet.hop.cut()
        return () => fleet.hop.mend()
      },
    ],
    [
      'that is slower than a call may take',
      async () => {
        fleet.hop.delayMs = 2_000
        return () => {
          fleet.hop.delayMs = 0
        }
      },
    ],
  ]

  const back = () =>
    until(
      'the store is back',
      async () => degraded(await askChat(fleet.b.url, [user('back?')], named('probe'))) === undefined,
      10_000,
    )

  describe.each(outages)('%s', (_, goAway) => {
    it('turns continue in unique lineages, and use their own again afterwards', async () => {
      const { b } = fleet
      await chat(b.url, [user('hi')], named('x'))
      const [own] = fleet.salts()
      const comeBack = await goAway()
      // Recent reads stay valid for up to a second.
      const first = await until('the store is missed', async () => {
        const got = await soon(askChat(b.url, [user('hi')], named('x')))
        return degraded(got) === 'store' && got
      })
      const seen = fleet.salts().length - 1

      const turns = [
        first,
        await soon(askChat(b.url, [user('again')], named('x'))),
        await soon(askChat(b.url, [user('hi')], named('y'))),
        await soon(askChat(b.url, [user('hi')])),
        await soon(askChat(b.url, [user('hi')])),
      ]
      const [one, two, ...others] = fleet.salts().slice(seen)
      await comeBack()
      await back()
      const after = await chat(b.url, [user('and now?')], named('x'))
      const listed = await ask(b.url, '/cwm/v1/sessions?limit=100')

      expect(turns.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
      expect(one).toBe(two)
      expect(new Set([own, one, ...others]).size).toBe(5)
      expect(fleet.salts().at(-1)).toBe(own)
      expect(degraded(after.got)).toBeUndefined()
      expect(jsonOf<{ data: { id: string }[] }>(listed).data.map(({ id }) => id)).not.toContain('y')
    })

    it('strangers with the same text and replies stay apart, during the outage and after it', async () => {
      const { b } = fleet
      const first = [user('tell me a joke')]
      const comeBack = await goAway()
      const [one, two] = [await askChat(b.url, first), await askChat(b.url, first)]
      const { choices } = jsonOf<{ choices: { message: ChatMessage }[] }>(one)
      const reply = choices[0]?.message ?? user('')
      const history = [...first, reply, user('another')]

      const during = [await soon(askChat(b.url, history)), await soon(askChat(b.url, history))]
      await comeBack()
      await back()
      const after = [await askChat(b.url, history), await askChat(b.url, history)]

      expect([one, two, ...during, ...after].map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
      const salts = fleet.salts().filter((_salt, n) => n < 4 || n >= fleet.salts().length - 2)
      expect(new Set(salts).size).toBe(6)
    })

    it('windows answer 503, and so does a session known to continue one', async () => {
      const { b } = fleet
      await chat(b.url, [user(`${prose(400)}. The code word is larch.`)], { headers: { 'x-cwm-freeze': 'book' } })
      await settled(b.url, 'book')
      const question = user('What is the code word?')
      await chat(b.url, [question], named('reader', { 'x-cwm-window': 'book' }))
      const unnamed = await chat(b.url, [user('Which word is it?')], { headers: { 'x-cwm-window': 'book' } })
      const comeBack = await goAway()

      const refused = [
        await soon(ask(b.url, '/cwm/v1/windows')),
        await soon(ask(b.url, '/cwm/v1/windows/book')),
        await soon(ask(b.url, '/cwm/v1/windows/book', { method: 'DELETE' })),
        await soon(askChat(b.url, [user('x')], { headers: { 'x-cwm-window': 'book' } })),
        await soon(askChat(b.url, [user('x')], { headers: { 'x-cwm-freeze': 'new' } })),
        await soon(askChat(b.url, [question], named('reader'))),
        await soon(askChat(b.url, [user('Which word is it?'), unnamed.reply, user('Sure?')])),
      ]
      await comeBack()
      await back()
      const after = await chat(b.url, [question], named('reader'))

      expect(refused.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503, 503, 503])
      expect(new Set(refused.map((got) => errorOf(got).code))).toEqual(new Set(['store_unavailable']))
      expect(after.got.headers['x-cwm-window']).toBe('book')
      expect(after.reply.content).toContain('larch')
    })
  })

  it('is reported in metrics and health', async () => {
    const { b, redis } = fleet
    await redis.kill()

    const got = await askChat(b.url, [user('hi')], named('x'))
    const metrics = await ask(b.url, '/cwm/metrics')
    const health = await ask(b.url, '/cwm/v1/health')

    expect([health.status, jsonOf(health)]).toMatchObject([200, { status: 'degraded', store: { ok: false } }])
    expect(got.headers['x-cwm-degraded']).toBe('store')
    expect(metrics.text).toContain('cwm_degraded_turns_total 1')
    await redis.startAgain()
  })

  it('all windows exist after a restart', async () => {
    const { a, b, redis } = fleet
    await chat(a.url, [user(`${prose(400)}. The code word is larch.`)], { headers: { 'x-cwm-freeze': 'book' } })
    await settled(a.url, 'book')
    await redis.kill()
    await redis.startAgain()
    await back()

    const turn = await chat(b.url, [user('What is the code word?')], named('reader', { 'x-cwm-window': 'book' }))

    expect(turn.reply.content).toContain('larch')
  })

  it('cwm does not start, and reports why', async () => {
    const redis = await RedisServer.start()
    await redis.kill()

    const started = startCwm(fleet.sim.engineUrl, { secret: 'some secret of a good length', store: redis.url })

    await expect(started).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    await redis.dispose()
  })

  it('cwm does not start with another secret than the first one had', async () => {
    const other = startCwm(fleet.sim.engineUrl, {
      store: fleet.redis.url,
      secret: 'another secret, long enough as well',
    })

    await expect(other).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('secret') })
  })
})
