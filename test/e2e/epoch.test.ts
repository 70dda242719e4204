// A raised kv_epoch invalidates old KV. A thaw recomputes it under the new salt, and a delete finds the KV of both epochs.

import { afterEach, expect, it } from 'vitest'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { deleteWindow, endSession, frozenSession, placements, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld } from '../support/windows.ts'

let stack: Stack

afterEach(() => stack.close())

async function raised(): Promise<number> {
  stack = await startStack({ settings: { reconcile_interval_ms: 50 } })
  const { receipt } = await frozenSession(stack.url)
  await stack.restart({ kv_epoch: 1 })
  return receipt?.chunks ?? 0
}

it('makes the next thaw recompute, pin under the new salt, and release the old pin', async () => {
  const chunks = await raised()

  const first = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
  await stack.sim.restartEngine()
  const second = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/w/thaw', { session_id: 'eve' })

  expect(first).toMatchObject({ restored_tokens: 0, drift: false })
  expect(first.notes?.join()).toContain('kv_epoch was 0 at freeze and is 1 now')
  expect(second.restored_tokens).toBeGreaterThanOrEqual(512)
  // The reconciler also runs, and may have checked the window between its two pins.
  await until('one pin a chunk is left', async () => (await pinsHeld(stack.sim)) === chunks)
  expect(
    (await chat(stack.url, [user('What is the buoy called?')], { headers: { 'x-cwm-window': 'w' } })).reply.content,
  ).toContain('Lomvi')
})

it('does not change windows that nobody thaws: their pins stay', async () => {
  const chunks = await raised()
  const seen = stack.sim.requests.all('coordinator').length
  await until('the reconciler has run', () => stack.sim.requests.all('coordinator').length > seen + 8)

  expect(await pinsHeld(stack.sim)).toBe(chunks)
  expect(await rest<WindowJson>(stack.url, 'GET', '/windows/w')).toMatchObject({ state: 'frozen', pin: 'pinned' })
})

it('a delete finds the chunks of both epochs', async () => {
  const chunks = await raised()
  await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
  expect(await placements(stack.sim)).toBeGreaterThanOrEqual(2 * chunks * 3)

  const deleted: DeletionJson[] = [
    await deleteWindow(stack.url, 'w'),
    await endSession(stack.url, 'ann'),
    await endSession(stack.url, 'bob'),
  ]

  expect(deleted.map(({ residual_chunks }) => residual_chunks)).toEqual([0, 0, 0])
  expect(deleted.at(-1)).toMatchObject({ state: 'done', lineage_retired: true })
  expect(await placements(stack.sim)).toBe(0)
  expect(await pinsHeld(stack.sim)).toBe(0)
})
