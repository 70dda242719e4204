// A session ends at one proxy while another has it in memory, or one of its turns in flight. After the receipt that retires its lineage,
// nobody dispatches its salt, and KV of an aborted turn is found.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DeletionJson } from '../../../src/wire/deletions.ts'
import { ask, errorOf, jsonOf } from '../../support/client.ts'
import { askChat, chat, prose, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { chatsOf, type Fleet, startFleet } from '../../support/redis-stack.ts'
import { deleteWindow } from '../../support/rest.ts'
import { settled } from '../../support/windows.ts'

const named = { headers: { 'x-cwm-session': 'x' } }

const end = async (url: string) => jsonOf<DeletionJson>(await ask(url, '/cwm/v1/sessions/x', { method: 'DELETE' }))

/** Endless turns at one proxy, whatever their answers; each takes the engine some time. */
function turnsAt({ sim }: Fleet, url: string): { stop(): Promise<void> } {
  sim.fault({ path: '/v1/chat/completions', times: Number.POSITIVE_INFINITY, action: { kind: 'delay', ms: 60 } })
  let going = true
  const turns = (async () => {
    for (let turn = 0; going; turn++) await askChat(url, [user(`turn ${turn}`)], named)
  })()
  return {
    stop: async () => {
      going = false
      await turns
    },
  }
}

describe.skipIf(skipsRedis)('a session that is ended at one proxy', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet()
  })
  afterEach(() => fleet?.close())

  it('is no longer dispatched by another that has it in memory, from the receipt on', async () => {
    const { a, b } = fleet
    await chat(b.url, [user('hi')], named)
    const [salt] = fleet.salts()
    const turns = turnsAt(fleet, b.url)
    await until('turns are under way', () => fleet.salts().length > 3)

    const receipt = await end(a.url)
    const seen = fleet.salts().length
    await until('the name is in use again', () => fleet.salts().slice(seen).length > 3)
    await turns.stop()

    expect(receipt).toMatchObject({ lineage_retired: true })
    expect(fleet.salts().slice(0, seen)).toContain(salt)
    expect(fleet.salts().slice(seen)).not.toContain(salt)
  })

  it('is no longer dispatched by another that Redis cannot reach, for whose staleness limit the receipt waited', async () => {
    const { a, b, hop } = fleet
    await chat(b.url, [user('hi')], named)
    const [salt] = fleet.salts()
    const turns = turnsAt(fleet, b.url)
    await until('turns are under way', () => fleet.salts().length > 3)

    hop.cut()
    const receipt = await end(a.url)
    const seen = fleet.salts().length
    await until('turns go on', () => fleet.salts().length > seen + 3)
    hop.mend()
    await until('the other proxy has its store again', async () => {
      const got = await askChat(b.url, [user('back?')], named)
      return got.status === 200 && got.headers['x-cwm-degraded'] === undefined
    })
    await turns.stop()

    expect(receipt).toMatchObject({ lineage_retired: true })
    expect(fleet.salts().slice(seen)).not.toContain(salt)
  })

  it("has its turn at another aborted with an error, and the turn's KV is searched for again", async () => {
    const { a, b, sim } = fleet
    await chat(b.url, [user('hi')], named)
    const undo = sim.fault({ path: '/v1/chat/completions', action: { kind: 'stall' } })
    const broken = askChat(b.url, [user(prose(400))], named)
    await until('its turn is under way', () => chatsOf(sim).length === 2)

    const receipt = await end(a.url)
    const got = await broken
    undo()

    expect(got.status).toBe(410)
    expect(errorOf(got).code).toBe('session_ended')
    expect(receipt).toMatchObject({ state: 'open', lineage_retired: true })
  })

  it('has the KV of a turn at an unreachable proxy deleted once that proxy is back', async () => {
    const { a, b, hop, sim } = fleet
    await chat(b.url, [user('hi')], named)
    sim.fault({ path: '/v1/chat/completions', action: { kind: 'delay', ms: 1_500 } })
    const late = askChat(b.url, [user(prose(600))], named)
    await until('its turn is under way', () => chatsOf(sim).length === 2)

    hop.cut()
    const receipt = await end(a.url)
    const got = await late
    await until('its proxy has given up on storing it', async () => {
      return !(await ask(b.url, '/cwm/metrics')).text.includes('cwm_store_errors_total 0')
    })
    hop.mend()
    // That proxy learns of the end when the name is used again, or with its next sweep.
    await until('the other proxy has its store again', async () => {
      return (await askChat(b.url, [user('back?')], named)).headers['x-cwm-degraded'] === undefined
    })
    const order = await until('what it left is ordered to go', async () => {
      const { data } = jsonOf<{ data: DeletionJson[] }>(await ask(a.url, '/cwm/v1/deletions'))
      return data.find(({ id }) => id !== receipt.id)
    })

    expect(got.status).toBe(200)
    expect(order).toMatchObject({ kind: 'session', name: 'x', state: 'open' })
  })

  it('is reported to another with a turn in flight even if a window keeps its lineage', async () => {
    const { a, b, sim } = fleet
    await chat(b.url, [user(prose(300))], { headers: { ...named.headers, 'x-cwm-freeze': 'book' } })
    await settled(b.url, 'book')
    const before = chatsOf(sim).length
    const undo = sim.fault({ path: '/v1/chat/completions', action: { kind: 'stall' } })
    const broken = askChat(b.url, [user('and?')], named)
    await until('its turn is under way', () => chatsOf(sim).length > before)

    const receipt = await end(a.url)
    const got = await broken
    undo()

    expect(got.status).toBe(410)
    expect(receipt).toMatchObject({ lineage_retired: false })
  })

  it('restarts under its name at either proxy, with one new lineage', async () => {
    const { a, b } = fleet
    await chat(a.url, [user('hi')], named)
    await chat(b.url, [user('hi')], named)
    const [salt] = fleet.salts()
    await end(a.url)

    await Promise.all([chat(a.url, [user('hi')], named), chat(b.url, [user('hi')], named)])

    const salts = fleet.salts()
    expect(salts.slice(0, 2)).toEqual([salt, salt])
    expect(new Set(salts.slice(2)).size).toBe(1)
    expect(salts.slice(2)).not.toContain(salt)
  })

  it('goes on with a window that was deleted at another meanwhile', async () => {
    const { a, b } = fleet
    await chat(a.url, [user(`${prose(300)}. The buoy is called Lomvi.`)], { headers: { 'x-cwm-freeze': 'book' } })
    await settled(a.url, 'book')
    await chat(b.url, [user('hello')], { headers: { ...named.headers, 'x-cwm-window': 'book' } })
    const { held_by } = await deleteWindow(a.url, 'book')
    expect(held_by?.count).toBe(1)

    const got = await chat(b.url, [user('What is the buoy called?')], named)

    expect(got.reply.content).toContain('Lomvi')
  })
})
