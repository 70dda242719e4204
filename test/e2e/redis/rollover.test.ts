// Two proxies on one Redis cut a history in the same place, whichever receives its turns, and create one window per cut.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { assistant, type ChatMessage, chat, prose, user } from '../../support/conversation.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { rest } from '../../support/rest.ts'

describe.skipIf(skipsRedis)('a chat that rolls over at two proxies', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet({ sim: { maxModelLen: 2048 }, settings: { overflow: 'rollover', freeze_at: 0 } })
  })
  afterEach(() => fleet?.close())

  it('is cut in one place, stays warm, and has one window per cut', async () => {
    const history: ChatMessage[] = []
    const cuts: (string | undefined)[] = []
    const cold: number[] = []
    let before = 0
    for (let turn = 0; turn < 30; turn++) {
      history.push(user(`Turn ${turn}: ${prose(60, `mill${turn}`)}`))
      const { url } = turn % 2 === 0 ? fleet.a : fleet.b
      const { got, reply, promptTokens, cachedTokens } = await chat(url, history, {
        headers: { 'x-cwm-session': 'both' },
      })
      const cut = got.headers['x-cwm-rollover'] as string | undefined
      if (turn > 0 && cut === cuts.at(-1) && (cachedTokens ?? 0) < 0.8 * before) cold.push(turn)
      before = promptTokens
      cuts.push(cut)
      history.push(assistant(reply.content ?? ''))
    }

    const names = new Set(cuts.filter((name) => name !== undefined))
    const { data } = await rest<{ data: { name: string }[] }>(fleet.a.url, 'GET', '/windows')
    expect(names.size).toBeGreaterThanOrEqual(2)
    expect(new Set(data.map(({ name }) => name))).toEqual(names)
    expect(cold).toEqual([])
  })
})
