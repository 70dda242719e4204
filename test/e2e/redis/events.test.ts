// Events of two proxies on one Redis: one order, received at either, also across an outage.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask } from '../../support/client.ts'
import { chat, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { type Ear, listen } from '../../support/event-stream.ts'
import { KEEPS_EVERY_WRITE, skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { endSession } from '../../support/rest.ts'

describe.skipIf(skipsRedis)('two proxies on one Redis', () => {
  let fleet: Fleet
  const ears: Ear[] = []
  beforeEach(async () => {
    fleet = await startFleet({ redis: KEEPS_EVERY_WRITE })
  })
  afterEach(async () => {
    for (const ear of ears.splice(0)) ear.leave()
    await fleet?.close()
  })

  async function hear(url: string, lastId?: string): Promise<Ear> {
    const ear = await listen(url, lastId === undefined ? {} : { 'last-event-id': lastId })
    ears.push(ear)
    return ear
  }

  /** A session that starts and ends at that proxy: one event. */
  async function passing(url: string, id: string): Promise<void> {
    await chat(url, [user('hello')], { headers: { 'x-cwm-session': id } })
    await until('the turn is stored', async () => (await ask(url, `/cwm/v1/sessions/${id}`)).status === 200)
    await endSession(url, id)
  }

  const sessionsIn = (ear: Ear) => ear.heard.map(({ data }) => data.session_id)

  it('report at each what happens at the other, at once and in one order', async () => {
    const { a, b } = fleet
    const [atA, atB] = [await hear(a.url), await hear(b.url)]

    for (const [n, { url }] of [a, b, a, b].entries()) await passing(url, `s-${n}`)
    await Promise.all([atA.events(4), atB.events(4)])

    expect(sessionsIn(atA)).toEqual(['s-0', 's-1', 's-2', 's-3'])
    expect(atB.heard).toEqual(atA.heard)
  })

  it('accept each other’s ids: a client disconnected from one continues at the other', async () => {
    const { a, b } = fleet
    const before = await hear(a.url)
    await passing(a.url, 'one')
    await before.events(1)
    before.leave()
    await passing(b.url, 'two')

    const after = await hear(b.url, before.lastId())
    await after.events(1)

    expect(sessionsIn(after)).toEqual(['two'])
  })

  it('continue to report to connected clients when Redis is back', async () => {
    const { a, b, redis } = fleet
    const ear = await hear(b.url)
    await redis.kill()
    await until('the store is seen to be away', async () => (await ask(b.url, '/cwm/v1/sessions')).status === 503)
    await redis.startAgain()
    await until('both are back', async () => {
      const found = await Promise.all([a, b].map(({ url }) => ask(url, '/cwm/v1/sessions')))
      return found.every(({ status }) => status === 200)
    })

    await passing(a.url, 'later')

    expect((await ear.events(1)).map(({ data }) => data.session_id)).toEqual(['later'])
  })
})
