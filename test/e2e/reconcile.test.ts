// Freezes interrupted by a crash are completed or undone at the next start, and the coordinator's pins are made to match the store.

import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/logger.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite.ts'
import type { WindowChange } from '../../src/store/store-values.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, jsonOf } from '../support/client.ts'
import { chat, prose, saltsIn, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld, settled } from '../support/windows.ts'

let stack: Stack

afterEach(() => stack.close())

const TENANT = 'anonymous'

/**
 * Freezes a window `w` (and optionally a twin with the same chunks), then stops cwm and changes its data to what a crash would have left.
 */
async function crash(change: WindowChange, options: { pinsGone?: boolean; twin?: boolean } = {}): Promise<number> {
  stack = await startStack({ settings: { reconcile_interval_ms: 100 } })
  const turn = await chat(stack.url, [user(`${prose(700)}. The buoy is called Lomvi.`)], {
    headers: { 'x-cwm-freeze': 'w' },
  })
  const { receipt } = await settled(stack.url, 'w')
  if (options.twin === true) {
    await ask(stack.url, '/cwm/v1/windows', { body: { name: 'twin', session_id: turn.session } })
  }
  const salt = saltsIn(stack.sim.requests.last('engine')?.body ?? Buffer.alloc(0))[0] ?? ''
  await stack.stop()
  await rewrite({ change, pinsGone: options.pinsGone === true, salt })
  await stack.restart()
  return receipt?.chunks ?? 0
}

async function rewrite({
  change,
  pinsGone,
  salt,
}: {
  change: WindowChange
  pinsGone: boolean
  salt: string
}): Promise<void> {
  const store = await openSqliteStore({ path: join(stack.dataDir, 'cwm.sqlite'), log: silentLogger })
  try {
    const record = await store.getWindow(TENANT, 'w')
    if (record === undefined) throw new Error('there is no window')
    const content = await store.getWindowContent(TENANT, 'w', record.id)
    if (pinsGone) {
      const body = {
        model_name: stack.sim.root,
        world_size: 1,
        cache_salt: salt,
        token_ids: [...(content?.tokenIds ?? [])],
      }
      const got = await ask(stack.sim.coordinatorUrl, '/cache/pins', { method: 'DELETE', body })
      if (got.status !== 200) throw new Error(got.text)
    }
    await store.changeWindow(TENANT, 'w', record.id, change)
  } finally {
    await store.close()
  }
}

const shown = async (name = 'w'): Promise<WindowJson> =>
  jsonOf<WindowJson>(await ask(stack.url, `/cwm/v1/windows/${name}`))
const pinned = (chunks: number) => until(`${chunks} pins are held`, async () => (await pinsHeld(stack.sim)) === chunks)

describe('a crash during a freeze', () => {
  const empty = new Uint32Array()
  const steps: readonly (readonly [string, WindowChange, boolean])[] = [
    ['after the name was reserved', { state: 'freezing', pin: 'none', tokenIds: empty }, true],
    ['before the pin was requested', { state: 'freezing', pin: 'pinning' }, true],
    ['after the pin, before it was recorded', { state: 'freezing', pin: 'pinning' }, false],
    ['after the pin was recorded', { state: 'freezing', pin: 'pinned' }, false],
  ]

  it.each(steps.flatMap((step) => [[...step, false] as const, [...step, true] as const]))(
    '%s: the freeze is finished and pinned once (%j, pins gone %s, twin %s)',
    async (_, change, pinsGone, twin) => {
      const chunks = await crash(change, { pinsGone, twin })

      const window = await settled(stack.url, 'w')

      expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'l2', pinned: true } })
      await pinned(twin ? 2 * chunks : chunks)
    },
  )

  it('the completed window thaws with its messages', async () => {
    await crash({ state: 'freezing', pin: 'none', tokenIds: empty }, { pinsGone: true })
    await settled(stack.url, 'w')
    await stack.sim.restartEngine()

    const turn = await chat(stack.url, [user('What is the buoy called?')], { headers: { 'x-cwm-window': 'w' } })

    expect(Number(turn.got.headers['x-cwm-restored'])).toBeGreaterThanOrEqual(512)
    expect(turn.reply.content).toContain('Lomvi')
  })
})

describe('a crash during an undo', () => {
  it.each([
    ['with its pin', { state: 'failed', reason: 'x', pin: 'pinned' }, false, false],
    ['with its pin, beside a twin', { state: 'failed', reason: 'x', pin: 'pinned' }, false, true],
    ['with its pin already released', { state: 'failed', reason: 'x', pin: 'pinned' }, true, true],
    ['with a pin that was never made', { state: 'failed', reason: 'x', pin: 'pinning' }, true, true],
  ] as const)('%s: it leaves no pin, and its name is free', async (_, change, pinsGone, twin) => {
    const chunks = await crash(change, { pinsGone, twin })

    await pinned(twin ? chunks : 0)

    expect((await shown()).state).toBe('failed')
    await until('the name is free', async () => {
      const got = await ask(stack.url, '/v1/chat/completions', {
        body: { model: 'sim-model', messages: [user('short')], max_tokens: 3 },
        headers: { 'x-cwm-freeze': 'w' },
      })
      return got.status === 200
    })
  })
})

describe('a coordinator that lost its pins', () => {
  it('gets them again', async () => {
    const chunks = await crash({}, { pinsGone: true, twin: true })

    await pinned(2 * chunks)
  })

  it('that lost none is not changed', async () => {
    const chunks = await crash({}, { twin: true })
    await until('the reconciler has run', () => stack.sim.requests.all('coordinator').length > 20)

    expect(await pinsHeld(stack.sim)).toBe(2 * chunks)
  })
})

describe('without the coordinator at startup', () => {
  it('an interrupted freeze delays nothing: cwm starts, and the window is completed once the coordinator is back', async () => {
    stack = await startStack({ settings: { reconcile_interval_ms: 100 } })
    await chat(stack.url, [user(`${prose(700)}.`)], { headers: { 'x-cwm-freeze': 'w' } })
    const { receipt } = await settled(stack.url, 'w')
    await stack.stop()
    await rewrite({ change: { state: 'freezing', pin: 'pinned' }, pinsGone: false, salt: '' })
    await stack.sim.setOnline('coordinator', false)
    await stack.sim.setOnline('lmcache', false)

    await stack.restart()
    const early = await shown()
    await stack.sim.setOnline('lmcache', true)
    await stack.sim.setOnline('coordinator', true)

    expect(['freezing', 'frozen']).toContain(early.state)
    expect((await settled(stack.url, 'w')).state).toBe('frozen')
    await pinned(receipt?.chunks ?? 0)
  })
})
