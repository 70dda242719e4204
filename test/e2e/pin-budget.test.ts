// Pins within a tenant's budget: when it is used up, freezing fails clearly, or the windows thawed longest ago lose their pins.

import { afterEach, describe, expect, it } from 'vitest'
import type { WindowJson } from '../../src/wire/windows.ts'
import { errorOf } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, deleteWindow, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld } from '../support/windows.ts'

let stack: Stack

afterEach(() => stack.close())

/** A bit more than three chunks: two fit into 2,000 tokens, three do not. */
const document = (mark: string) => `${mark} ${prose(400, mark)}`
const put = (name: string) =>
  call(stack.url, 'PUT', `/windows/${name}`, { model: 'sim-model', document: document(name) })
const show = (name: string) =>
  rest<WindowJson & { pin: string; pin_until?: string }>(stack.url, 'GET', `/windows/${name}`)
const pinned = async () =>
  (await rest<{ usage: { pinned_tokens: number } }>(stack.url, 'GET', '/tenants/me')).usage.pinned_tokens
const tokensOf = async (...names: string[]) => {
  let sum = 0
  for (const name of names) sum += (await show(name)).receipt?.tokens ?? 0
  return sum
}
const chunksOf = async (...names: string[]) => {
  let sum = 0
  for (const name of names) sum += (await show(name)).receipt?.chunks ?? 0
  return sum
}

/** A stack with a budget for two such windows and a little more. */
async function startWithRoomForTwo(more: object = {}): Promise<void> {
  stack = await startStack()
  await put('a')
  const { receipt } = await show('a')
  await stack.close()
  const max_pinned_tokens = Math.floor((receipt?.tokens ?? 0) * 2.5)
  stack = await startStack({ settings: { max_pinned_tokens, ...more } })
  expect((await put('a')).status).toBe(201)
  expect((await put('b')).status).toBe(201)
}

describe('a full budget that rejects', () => {
  it('is a clear error with the numbers, and existing pins stay', async () => {
    await startWithRoomForTwo()

    const got = await put('c')

    expect([got.status, errorOf(got).code]).toEqual([422, 'window_failed'])
    expect(errorOf(got).message).toMatch(/\d+ tokens exceed this tenant's pin budget \(\d+ of \d+ tokens are pinned/)
    expect(await pinned()).toBe(await tokensOf('a', 'b'))
    expect(await pinsHeld(stack.sim)).toBe(await chunksOf('a', 'b'))
  })

  it('has space again when a window is deleted or unpinned', async () => {
    await startWithRoomForTwo()

    await deleteWindow(stack.url, 'a')
    const first = await put('c')
    await rest(stack.url, 'PATCH', '/windows/b', { pinned: false })
    const second = await put('d')

    expect([first.status, second.status]).toEqual([201, 201])
    expect((await show('b')).pin).toBe('released')
    expect(await pinned()).toBe(await tokensOf('c', 'd'))
    const back = await call(stack.url, 'PATCH', '/windows/b', { pinned: true })
    expect([back.status, errorOf(back).code]).toEqual([403, 'pin_budget_full'])
  })

  it('does not prevent a thaw from restoring, and reports why it is not pinned', async () => {
    await startWithRoomForTwo()
    await rest(stack.url, 'PATCH', '/windows/a', { pinned: false })
    await put('c')

    const thaw = await rest<{ warnings: string[]; restored_tokens: number }>(stack.url, 'POST', '/windows/a/thaw', {})

    expect(thaw.restored_tokens).toBeGreaterThanOrEqual(256)
    expect(thaw.warnings.join()).toMatch(/not pinned: .*exceed/)
    expect((await show('a')).pin).toBe('released')
  })
})

describe('a full budget that releases', () => {
  it('releases the pin of the window thawed longest ago, names it, and pins it again with its next thaw', async () => {
    await startWithRoomForTwo({ when_pins_full: 'release' })
    await rest(stack.url, 'POST', '/windows/a/thaw', {})

    const got = await put('c')

    expect(got.status).toBe(201)
    expect((await show('c')).receipt?.warnings).toContain('pins of these windows were released to make room: b')
    expect([(await show('a')).pin, (await show('b')).pin, (await show('c')).pin]).toEqual([
      'pinned',
      'released',
      'pinned',
    ])
    expect(await pinsHeld(stack.sim)).toBe(await chunksOf('a', 'c'))
    await chat(stack.url, [user('?')], { headers: { 'x-cwm-window': 'b' } })
    expect((await show('b')).pin).toBe('pinned')
    expect(await pinned()).toBe(await tokensOf('b', 'c'))
    expect(await pinsHeld(stack.sim)).toBe(await chunksOf('b', 'c'))
  })
})

describe('a pin with an expiry', () => {
  it('is released by the reconciler when it expires, and renewed by a thaw', async () => {
    stack = await startStack({ settings: { pin_ttl_ms: 1_000, reconcile_interval_ms: 50 } })
    await put('a')
    expect((await show('a')).pin_until).toBeDefined()

    await until('the pin is released', async () => (await show('a')).pin === 'released')

    expect(await pinsHeld(stack.sim)).toBe(0)
    expect(await pinned()).toBe(0)
    await rest(stack.url, 'POST', '/windows/a/thaw', {})
    expect(await show('a')).toMatchObject({ pin: 'pinned', pin_until: expect.any(String) })
  })
})
