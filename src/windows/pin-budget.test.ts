// Whose pins are released to make room, and when they expire: never those of windows in use. The rest is in test/e2e/pin-budget.test.ts.

import { expect, it } from 'vitest'
import { aWindow } from '../../test/contracts/store/sample-records.ts'
import type { FreezeReceipt, WindowRecord } from '../base/records.ts'
import type { KvLink } from '../kv/kv.ts'
import type { WindowQuery } from '../store/store-values.ts'
import { makeRoomForPin, releaseExpiredPin } from './pin-budget.ts'

const link = { release: async () => true } as unknown as KvLink

const receipt = { tokens: 100 } as FreezeReceipt

/** Windows of 100 tokens, pinned, under a budget of 300; those of `used` are in use. */
function partsWith(names: readonly string[], used: readonly string[]) {
  const pinned = new Map(names.map((name) => [name, aWindow({ name, id: name, pin: 'pinned', receipt })]))
  const store = {
    usageOf: async () => ({ pinnedTokens: 100 * pinned.size }),
    listWindows: async (_: string, { limit, cursor = '0' }: WindowQuery) => {
      const all = [...pinned.values()]
      const next = Number(cursor) + limit
      return { items: all.slice(Number(cursor), next), ...(next < all.length ? { nextCursor: String(next) } : {}) }
    },
    changeWindow: async (_: string, name: string) => pinned.delete(name),
  }
  const parts = {
    store,
    policyOf: () => ({ maxPinnedTokens: 300, whenPinsFull: 'release' }),
    now: () => 1_000,
    log: { warn: () => {} },
    metrics: { pinsReleased: { inc: () => {} } },
    inUse: { isInUse: async (id: string) => used.includes(id) },
  }
  return { parts: parts as unknown as Parameters<typeof makeRoomForPin>[0], pinned }
}

const fresh: WindowRecord = aWindow({ name: 'new', id: 'new' })

it('makes room by windows that are not in use', async () => {
  const { parts } = partsWith(['a', 'b', 'c'], ['a'])

  expect(await makeRoomForPin(parts, link, fresh, 100)).toEqual(['b'])
})

it('finds them behind any number of windows in use', async () => {
  const busy = Array.from({ length: 120 }, (_, n) => `busy-${n}`)
  const { parts, pinned } = partsWith([...busy, 'free'], busy)

  await expect(makeRoomForPin(parts, link, fresh, 100)).rejects.toMatchObject({ code: 'PIN_BUDGET_FULL' })

  expect([pinned.has('free'), pinned.size]).toEqual([false, 120])
})

it('leaves an expired pin of a window in use to a later run', async () => {
  const expired = aWindow({ name: 'a', id: 'a', pin: 'pinned', pinUntil: 900 })

  expect(await releaseExpiredPin(partsWith(['a'], ['a']).parts, link, expired)).toBe(false)
  expect(await releaseExpiredPin(partsWith(['a'], []).parts, link, expired)).toBe(true)
})
