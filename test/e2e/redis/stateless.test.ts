// Requests without a session at two proxies of one store: an erasure at one names the KV of both, and after it neither uses an old lineage.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, errorOf, type Got, jsonOf } from '../../support/client.ts'
import { askChat, prose, saltsIn, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { placements } from '../../support/rest.ts'

const EMBED = '/v1/embeddings'
const ann = { authorization: 'Bearer key-of-ann' }

describe.skipIf(skipsRedis)('requests without a session at two proxies', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet()
  })
  afterEach(() => fleet?.close())

  const isDegraded = ({ headers }: Got) => headers['x-cwm-degraded'] === 'store'
  /** A second for the store, plus what everything else takes on a busy machine. */
  const SOON_MS = 3_000
  const embed = (url: string, input: string) => ask(url, EMBED, { body: { model: 'sim-model', input }, headers: ann })
  const erase = async (url: string) =>
    jsonOf<{ deleted_chunks: number; residual_chunks: number | null }>(
      await ask(url, '/cwm/v1/tenants/me', { method: 'DELETE', headers: ann }),
    )
  const salts = () =>
    fleet.sim.requests.all('engine').flatMap(({ path, body }) => (path === EMBED ? saltsIn(body) : []))

  it('are erased by either, also those of the other', async () => {
    const { a, b, sim } = fleet
    await embed(a.url, prose(800))
    await embed(b.url, prose(800))
    const before = await placements(sim)

    const erased = await erase(a.url)

    expect(before).toBeGreaterThan(0)
    expect(erased).toMatchObject({ deleted_chunks: 12, residual_chunks: 0 })
    expect(await placements(sim)).toBe(0)
  })

  it('are broken off by an erasure at the other, and begin under new lineages', async () => {
    const { a, b, sim } = fleet
    await embed(b.url, 'before')
    sim.fault({ path: EMBED, action: { kind: 'stall' } })
    const running = embed(b.url, 'running')
    await until('it is in flight', () => salts().length === 2)

    await erase(a.url)

    const got = await running
    expect([got.status, errorOf(got).code]).toEqual([410, 'session_ended'])
    expect((await embed(b.url, 'after')).status).toBe(200)
    expect(new Set(salts()).size).toBe(3)
  })

  it.each<readonly [string, () => Promise<void> | void]>([
    ['hangs', () => fleet.hop.cut()],
    ['is down', () => fleet.redis.kill()],
  ])('continue while the store %s, each in a lineage of its own', async (_, goAway) => {
    const { b } = fleet
    // Of a block of 16 lineages, 14 are left.
    for (let n = 0; n < 6; n++) await embed(b.url, 'before')
    const chatOn = () => askChat(b.url, [user('hi')], { headers: { ...ann, 'x-cwm-session': 'x' } })
    await chatOn()
    await goAway()
    // Recent reads stay valid for up to a second, those of the block too.
    await until('the store is missed', async () => isDegraded(await chatOn()))
    const from = performance.now()

    const during = [await embed(b.url, 'one'), await embed(b.url, 'two')]

    expect(performance.now() - from).toBeLessThan(SOON_MS)
    expect(during.map((got) => [got.status, isDegraded(got)])).toEqual([
      [200, true],
      [200, true],
    ])
    expect(new Set(salts()).size).toBe(salts().length)
  })

  it('begin while the store hangs, as soon as chats do', async () => {
    const { b, hop } = fleet
    hop.cut()
    const from = performance.now()

    const first = await embed(b.url, 'first')

    expect(performance.now() - from).toBeLessThan(SOON_MS)
    expect([first.status, isDegraded(first)]).toEqual([200, true])
  })
})
