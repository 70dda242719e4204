// Two proxies on one Redis: a client may use either for every turn, and both have the same state.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, jsonOf } from '../../support/client.ts'
import { askChat, chat, prose, user } from '../../support/conversation.ts'
import { until, within } from '../../support/deadline.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { settled, thawByRest } from '../../support/windows.ts'

const named = (id: string, more: Record<string, string> = {}) => ({ headers: { 'x-cwm-session': id, ...more } })

/** A turn is stored after its answer, and lists come from the store. */
const stored = (url: string, session: string, turns = 1) =>
  until(`${turns} turns are stored`, async () => {
    const { data } = jsonOf<{ data: { id: string; turns: number }[] }>(await ask(url, '/cwm/v1/sessions'))
    return data.some((listed) => listed.id === session && listed.turns === turns)
  })

describe.skipIf(skipsRedis)('two proxies on one Redis', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet()
  })
  afterEach(() => fleet?.close())

  it('use one lineage for a named session, whichever receives its turns', async () => {
    const { a, b } = fleet
    for (const { url } of [a, b, b, a, b]) await chat(url, [user('hi')], named('x'))

    expect(new Set(fleet.salts()).size).toBe(1)
    expect(fleet.salts()).toHaveLength(5)
  })

  it('use one lineage for a named session that starts at both at once', async () => {
    const { a, b } = fleet
    await Promise.all(Array.from({ length: 10 }, (_, n) => chat((n % 2 ? a : b).url, [user(`hi ${n}`)], named('x'))))

    expect(new Set(fleet.salts()).size).toBe(1)
  })

  it('recognize a chat by its history, whichever receives its turns', async () => {
    const { a, b } = fleet
    const messages = [user(prose(60))]
    const sessions = new Set<string>()
    for (const { url } of [a, b, a, b]) {
      const turn = await chat(url, messages)
      sessions.add(turn.session)
      await stored(url, turn.session, (messages.length + 1) / 2)
      messages.push(turn.reply as ReturnType<typeof user>, user('and then?'))
    }

    expect(sessions.size).toBe(1)
    expect(new Set(fleet.salts()).size).toBe(1)
  })

  it('separate strangers with the same text and replies at different proxies', async () => {
    const { a, b } = fleet
    const first = [user('tell me a joke')]
    const [one, two] = [await chat(a.url, first), await chat(b.url, first)]
    const history = [...first, one.reply, user('another')]
    expect(one.reply).toEqual(two.reply)
    await stored(a.url, one.session)
    await stored(a.url, two.session)

    const next = [await chat(a.url, history), await chat(b.url, history)]

    expect(new Set([one, two, ...next].map(({ session }) => session)).size).toBe(4)
    expect(new Set(fleet.salts()).size).toBe(4)
  })

  it('apply a window thawed at one to the next turn at the other', async () => {
    const { a, b } = fleet
    await chat(a.url, [user(`${prose(400)}. The code word is larch.`)], { headers: { 'x-cwm-freeze': 'book' } })
    await settled(a.url, 'book')
    const before = await chat(b.url, [user('hello')], named('reader'))

    const thawed = await thawByRest(a.url, 'book', { session_id: 'reader', replace: true })
    // The notification is on its way; it takes less than the second for which a proxy trusts its reads.
    const turn = await until('the other is based on the window', async () => {
      const got = await chat(b.url, [user('What is the code word?')], named('reader'))
      return got.got.headers['x-cwm-window'] === 'book' && got
    })

    expect(thawed.status).toBe(200)
    expect(before.got.headers['x-cwm-window']).toBeUndefined()
    expect(turn.promptTokens).toBeGreaterThan(before.promptTokens + 400)
    expect(turn.reply.content).toContain('larch')
  })

  it('let one of two freezes have a name that both request at once', async () => {
    const { a, b } = fleet
    const session = await chat(a.url, [user(prose(300))])
    await stored(a.url, session.session)
    const other = await chat(b.url, [user(prose(300, 'hill'))])

    const freezes = await Promise.all([
      ask(a.url, '/cwm/v1/windows', { body: { name: 'book', session_id: session.session } }),
      ask(b.url, '/cwm/v1/windows', { body: { name: 'book', session_id: other.session } }),
    ])

    expect(freezes.map(({ status }) => status).sort()).toEqual([201, 409])
  })

  it('reject a session beyond the limit that all proxies share', async () => {
    const { a, b } = fleet
    await Promise.all([a.restart({ max_sessions: 2 }), b.restart({ max_sessions: 2 })])
    await chat(a.url, [user('hi')], named('one'))
    await chat(b.url, [user('hi')], named('two'))

    expect((await askChat(a.url, [user('hi')], named('three'))).status).toBe(403)
    expect((await askChat(b.url, [user('hi')], named('three'))).status).toBe(403)
  })

  it('do not interfere with a freeze of the other', async () => {
    const { a, b, sim } = fleet
    const { session } = await chat(a.url, [user(prose(400))])
    await stored(a.url, session)
    sim.fault({ path: '/v1/completions', action: { kind: 'delay', ms: 1_500 } })
    const freeze = ask(a.url, '/cwm/v1/windows', { body: { name: 'book', session_id: session } })
    await until('its warm call is under way', () =>
      sim.requests.all('engine').some(({ path }) => path === '/v1/completions'),
    )

    // At startup a proxy checks windows that are being frozen.
    await b.restart()
    const done = await within('the freeze', freeze)

    expect(jsonOf(done)).toMatchObject({ state: 'frozen' })
    expect(sim.requests.all('engine').filter(({ path }) => path === '/v1/completions')).toHaveLength(1)
  })
})
