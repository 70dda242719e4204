import { expect, it } from 'vitest'
import { EngineDrains } from './engine-drains.ts'

/** Drains of the engine `e`, in a store whose lists arrive when the test says. */
function someDrains() {
  const stored = new Set<string>()
  const lists: (() => void)[] = []
  const states: boolean[] = []
  const drains = new EngineDrains(
    {
      setDraining: async (id, draining) => void (draining ? stored.add(id) : stored.delete(id)),
      listDraining: () => {
        const read = [...stored]
        return new Promise((resolve) => lists.push(() => resolve(read)))
      },
      onChange: () => () => {},
    },
    {
      members: () => [{ id: 'e' }] as never,
      drain: () => states.push(true) > 0,
      resume: () => states.push(false) > 0,
      onChange: () => () => {},
    },
  )
  return { drains, lists, states }
}

it('does not resume an engine because of a list that was read before it was drained', async () => {
  const { drains, lists, states } = someDrains()

  const synced = drains.sync()
  await drains.set('e', true)
  lists[0]?.()
  await synced

  expect(drains.has('e')).toBe(true)
  expect(states).toEqual([true])
})

it('follows what another proxy has drained', async () => {
  const { drains, lists, states } = someDrains()
  await drains.set('e', true)

  const synced = drains.sync()
  lists[0]?.()
  await synced

  expect(states).toEqual([true, true])
})
