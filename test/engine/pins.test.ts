// Pins: the coordinator has exactly those of the stored windows, whatever happened in between.

import type OpenAI from 'openai'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, longText, measured, openai, user } from './support/conversations.ts'
import { type Cwm, type ShownWindow, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { coordinatorUrl, engineUrl, eventually, onePinEach, pinCounts } from './support/stack.ts'

let hop: Hop
let pinHop: Hop
let cwm: Cwm
let client: OpenAI
const dirty: Cwm[] = []

beforeEach(async () => {
  hop = await startHop(engineUrl)
  pinHop = await startHop(coordinatorUrl)
  cwm = await startCwm({ upstream: hop.url, coordinator: pinHop.url })
  client = openai(cwm.url)
})

afterEach(async () => {
  dirty.push(cwm)
  await cwm.stop()
  await hop.close()
  await pinHop.close()
})

afterAll(async () => {
  for (const one of dirty) await one.dispose()
})

/** A turn that freezes its session under its mark. Returns the salt that the engine received. */
async function freeze(mark: string, tokens: number): Promise<string> {
  await ask(client, [user(longText(mark, tokens))], { headers: { 'x-cwm-session': mark, 'x-cwm-freeze': mark } })
  const [salt, ...others] = hop.saltsOf(`${mark}: `)
  if (salt === undefined || others.length > 0) throw new Error(`${mark} has ${others.length + 1} salts instead of one`)
  return salt
}

const show = async (name: string) => (await cwm.rest<ShownWindow>('GET', `/windows/${name}`)).body

async function restart(): Promise<void> {
  cwm = await startCwm({ upstream: hop.url, coordinator: pinHop.url, dataDir: cwm.dataDir })
  client = openai(cwm.url)
}

describe('after a freeze', () => {
  it('the coordinator has one pin for each whole chunk', async () => {
    const salt = await freeze('pinned', 1_300)

    const { tokens } = await cwm.frozen('pinned')

    expect(await pinCounts(salt)).toEqual(onePinEach(tokens))
    expect(onePinEach(tokens)).toHaveLength(5)
  })

  it('a second window of the lineage adds its own', async () => {
    const salt = await freeze('first', 600)
    const first = await cwm.frozen('first')

    const { body } = await cwm.rest<ShownWindow>('POST', '/windows', { name: 'second', session_id: 'first' })

    expect(body.state).toBe('frozen')
    expect(await pinCounts(salt)).toEqual(onePinEach(first.tokens).map((count) => 2 * count))
  })
})

describe('after a failed freeze', () => {
  it('there is none, the reason is reported, and the name can be used again', async () => {
    hop.refuse('/v1/completions')
    const salt = await freeze('fails', 600)

    const window = await cwm.settled('fails')
    const pinsOfFailed = await pinCounts(salt)
    const again = await cwm.rest<ShownWindow>('POST', '/windows', { name: 'fails', session_id: 'fails' })

    expect(window).toMatchObject({ state: 'failed', reason: expect.stringContaining('/v1/completions') })
    expect(pinsOfFailed).toEqual([])
    expect([again.status, again.body.state]).toEqual([201, 'frozen'])
    expect(await pinCounts(salt)).toEqual(onePinEach(again.body.receipt?.tokens ?? 0))
  })
})

describe('kill -9 during a freeze', () => {
  async function recovered(name: string, salt: string): Promise<void> {
    const killedAt = Date.now()
    await restart()
    const receipt = await cwm.frozen(name)

    measured(`recovery of ${name}`, { ms: Date.now() - killedAt, tokens: receipt.tokens })
    const { body } = await cwm.rest<{ data: ShownWindow[] }>('GET', '/windows')
    expect(body.data.map(({ state }) => state)).toEqual(['frozen'])
    expect(receipt).toMatchObject({ durability: 'l2', pinned: true })
    expect(await pinCounts(salt)).toEqual(onePinEach(receipt.tokens))
  }

  it('at any point: the next start completes it', async () => {
    const salt = await freeze('anywhere', 3_500)
    await eventually(
      'it is freezing',
      () => show('anywhere'),
      ({ state }) => state === 'freezing',
      { everyMs: 1 },
    )

    await cwm.kill()

    await recovered('anywhere', salt)
  })

  it('between pin and warm call: it is pinned once', async () => {
    const hold = hop.hold('/v1/completions', 'before')
    const salt = await freeze('before-warm', 3_500)
    await hold.caught
    const { state } = await show('before-warm')
    const pinsThen = await pinCounts(salt)

    await cwm.kill()
    hold.release()

    expect(state).toBe('freezing')
    expect(pinsThen).toEqual(onePinEach(3_500))
    await recovered('before-warm', salt)
  })

  // The store says `pinning`, and the coordinator has pinned. Counted twice, the pin would outlive its window.
  it('while the answer to the pin is on its way: it is pinned once', async () => {
    const hold = pinHop.hold('/cache/pins', 'after')
    const salt = await freeze('pin-unanswered', 1_300)
    await hold.caught
    const pinsThen = await pinCounts(salt)

    await cwm.kill()
    hold.release()

    expect(pinsThen).toEqual(onePinEach(1_300))
    await recovered('pin-unanswered', salt)
  })

  it('before the pin: it is pinned once', async () => {
    const hold = pinHop.hold('/cache/pins', 'before')
    const salt = await freeze('pin-unasked', 1_300)
    await hold.caught

    await cwm.kill()
    hold.release()

    await recovered('pin-unasked', salt)
  })

  it('with a second attempt that also fails: it leaves no pin', async () => {
    const hold = hop.hold('/v1/completions', 'before')
    const salt = await freeze('fails-twice', 1_300)
    await hold.caught
    await cwm.kill()
    hold.release()

    hop.refuse('/v1/completions')
    await restart()
    const window = await cwm.settled('fails-twice')

    expect(window.state).toBe('failed')
    await eventually(
      'its pins are released',
      () => pinCounts(salt),
      (counts) => counts.length === 0,
    )
  })
})

describe('pins that the coordinator lost', () => {
  it('are restored at the next start', async () => {
    const salt = await freeze('lost-pins', 600)
    const { tokens } = await cwm.frozen('lost-pins')
    const { ids } = hop.lastWarm()
    await cwm.stop()
    const body = { token_ids: ids, model_name: './model', world_size: 1, cache_salt: salt }
    await fetch(`${coordinatorUrl}/cache/pins`, {
      method: 'DELETE',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
    expect(await pinCounts(salt)).toEqual([])

    await restart()

    await eventually(
      'they are back',
      () => pinCounts(salt),
      (counts) => counts.length > 0,
    )
    expect(await pinCounts(salt)).toEqual(onePinEach(tokens))
  })
})
