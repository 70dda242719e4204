// A window that one proxy deletes leaves the passage index of another.

import { afterEach, expect, it } from 'vitest'
import { askedMany, documentWindow } from '../../support/asks.ts'
import { until } from '../../support/deadline.ts'
import { metricOf } from '../../support/departing-client.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { rest } from '../../support/rest.ts'

let fleet: Fleet
afterEach(() => fleet?.close())

it.skipIf(skipsRedis)(
  'a window deleted by one proxy leaves the memory of another, and is not found there',
  async () => {
    fleet = await startFleet()
    for (const name of ['ada', 'bo']) await documentWindow(fleet.a.url, name)
    const body = { question: 'What is the harbor of bo called?', windows: { tag: 'law' }, select: { text: 1 } }
    const before = await askedMany(fleet.a.url, body)

    await rest(fleet.b.url, 'DELETE', '/windows/bo')
    await until('it has left', async () => (await metricOf(fleet.a.url, 'cwm_passage_index_windows')) === 1)
    const after = await askedMany(fleet.a.url, body)

    expect([before, after].map(({ answers }) => answers.map(({ window }) => window))).toEqual([['bo'], ['ada']])
  },
)
