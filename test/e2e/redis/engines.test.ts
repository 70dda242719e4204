// Two proxies on one Redis before two engines: an operator's drain at one holds at the other, and both agree where sessions are.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EngineListJson } from '../../../src/wire/engines.ts'
import { chat, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { rest } from '../../support/rest.ts'

const key = 'operator-0123456'
const operator = { authorization: `Bearer ${key}` }

describe.skipIf(skipsRedis)('an engine that is drained at one proxy', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet({ sim: { engines: 2 }, settings: { operator_key: key } })
    const upstream = fleet.sim.engines.map(({ url }) => ({ url, weight: 1, drain: false }))
    for (const cwm of [fleet.a, fleet.b]) await cwm.restart({ upstream })
  })
  afterEach(() => fleet?.close())

  const list = async (url: string) => (await rest<EngineListJson>(url, 'GET', '/engines', undefined, operator)).data

  it('drains at the other too, whose turns of its sessions go elsewhere', async () => {
    const { a, b, sim } = fleet
    const [first, second] = sim.engines
    const turn = (url: string, session: string) => chat(url, [user('hi')], { headers: { 'x-cwm-session': session } })
    for (const session of ['p', 'q', 'r', 's', 't', 'u']) await turn(a.url, session)
    await rest(a.url, 'POST', '/engines/drain', { engine: first?.url ?? '' }, operator)
    await until('the other follows', async () => (await list(b.url))[0]?.state === 'draining')
    const before = sim.requests.all(first?.name ?? 'engine').filter(({ path }) => path.includes('chat')).length

    for (const session of ['p', 'q', 'r', 's', 't', 'u']) await turn(b.url, session)

    expect(sim.requests.all(first?.name ?? 'engine').filter(({ path }) => path.includes('chat'))).toHaveLength(before)
    expect((await list(a.url)).map(({ id, placements }) => [id, placements])).toEqual([
      [first?.url, 0],
      [second?.url, 6],
    ])
  })
})
