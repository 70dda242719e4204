// A reload adds, drains and removes engines while requests run: none fails.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EngineListJson } from '../../../src/wire/engines.ts'
import { askChat, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const key = 'operator-0123456'
const operator = { authorization: `Bearer ${key}` }
const entry = (url: string, drain = false) => ({ url, weight: 1, drain })

let stack: Stack
let urls: readonly string[]

beforeEach(async () => {
  stack = await startStack({
    sim: { engines: 3, servers: 3 },
    settings: { operator_key: key, engine_slow_start_ms: 0 },
  })
  urls = stack.sim.engines.map(({ url }) => url)
  await stack.restart({ upstream: [entry(at(0))] })
})
afterEach(() => stack.close())

const at = (index: number): string => urls[index] ?? ''
const states = async () =>
  (await rest<EngineListJson>(stack.url, 'GET', '/engines', undefined, operator)).data.map(({ id, state }) => [
    id,
    state,
  ])
const turnsAt = (index: number) =>
  stack.sim.requests.all(stack.sim.engines[index]?.name ?? 'engine').filter(({ path }) => path.includes('chat')).length
/** A round of turns of the same twelve sessions, eight at least of which are in flight together. */
const round = async () => {
  const answers = Array.from({ length: 12 }, (_, i) =>
    askChat(stack.url, [user(`turn of ${i}`)], { headers: { 'x-cwm-session': `s${i}` } }),
  )
  return (await Promise.all(answers)).map(({ status }) => status)
}
const fine = Array.from({ length: 12 }, () => 200)

describe('a reload of the list of engines', () => {
  it('adds an engine', async () => {
    const { changed } = await stack.reload({ upstream: [entry(at(0)), entry(at(1))] })
    for (let i = 0; i < 12; i++) await askChat(stack.url, [user(`new ${i}`)])

    expect(changed).toEqual(['upstream'])
    expect(await states()).toEqual([
      [at(0), 'up'],
      [at(1), 'up'],
    ])
    expect(turnsAt(1)).toBeGreaterThan(0)
  })

  it('adds, drains and removes engines under load without a failed request', async () => {
    const rounds = [round()]
    await stack.reload({ upstream: [entry(at(0)), entry(at(1)), entry(at(2))] })
    rounds.push(round())
    await stack.reload({ upstream: [entry(at(0), true), entry(at(1)), entry(at(2))] })
    rounds.push(round())
    const draining = await states()
    await stack.reload({ upstream: [entry(at(1)), entry(at(2))] })
    rounds.push(round())
    const statuses = await Promise.all(rounds)
    const before = turnsAt(0)
    const last = await round()

    expect(draining[0]).toEqual([at(0), 'draining'])
    expect([...statuses, last]).toEqual([fine, fine, fine, fine, fine])
    expect(turnsAt(0)).toBe(before)
    expect(await states()).toEqual([
      [at(1), 'up'],
      [at(2), 'up'],
    ])
  })

  it('keeps the drain of an engine that was removed and comes back', async () => {
    await stack.reload({ upstream: [entry(at(0)), entry(at(1))] })
    await rest(stack.url, 'POST', '/engines/drain', { engine: at(1) }, operator)
    await stack.reload({ upstream: [entry(at(0))] })
    await stack.reload({ upstream: [entry(at(0)), entry(at(1))] })

    expect(await states()).toEqual([
      [at(0), 'up'],
      [at(1), 'draining'],
    ])
  })

  it('replaces the list by a name in DNS, whose addresses are the engines then', async () => {
    const { port } = new URL(at(1))
    await stack.reload({ upstream: `dns+http://localhost:${port}` })
    await until('the name was looked up', async () =>
      (await states()).some(([id]) => id === `http://127.0.0.1:${port}`),
    )

    expect(await round()).toEqual(fine)
    expect(turnsAt(1)).toBe(12)
  })

  it('does not replace the list by a single address, which needs a restart', async () => {
    const { changed, needsRestart } = await stack.reload({ upstream: at(1) })

    expect([changed, needsRestart]).toEqual([[], ['upstream']])
    expect(await states()).toEqual([[at(0), 'up']])
  })
})
