import { expect, it } from 'vitest'
import { WindowsInUse } from './windows-in-use.ts'

function setUp(elsewhere: readonly string[] = []) {
  const calls: string[] = []
  const gauges = new Map<string, () => number>()
  const store = {
    enterUse: async (name: string) => void calls.push(`enter ${name}`),
    leaveUse: async (name: string) => void calls.push(`leave ${name}`),
    isUsedElsewhere: async (name: string) => elsewhere.includes(name),
  }
  const inUse = new WindowsInUse(store, { watch: (name, _, read) => void gauges.set(name, read) })
  return { calls, inUse, open: () => gauges.get('cwm_windows_in_use')?.() }
}

it('marks a window once, however many work on it, and until the last is done', async () => {
  const { calls, inUse, open } = setUp()
  const ends: (() => void)[] = []
  const work = () => inUse.during('w', () => new Promise<void>((resolve) => ends.push(resolve)))

  const both = [work(), work()]
  await Promise.resolve()
  expect([await inUse.isInUse('w'), open(), calls]).toEqual([true, 1, ['enter window w']])
  ends[0]?.()
  await both[0]
  expect([await inUse.isInUse('w'), open()]).toEqual([true, 1])
  ends[1]?.()
  await both[1]

  expect([await inUse.isInUse('w'), open(), calls]).toEqual([false, 0, ['enter window w', 'leave window w']])
})

it('releases a window whose work fails', async () => {
  const { inUse, open } = setUp()

  await expect(inUse.during('w', () => Promise.reject(new Error('no')))).rejects.toThrow('no')

  expect(open()).toBe(0)
})

it('knows the windows of other processes from the store', async () => {
  const { inUse } = setUp(['window w'])

  expect([await inUse.isInUse('w'), await inUse.isInUse('v')]).toEqual([true, false])
})
