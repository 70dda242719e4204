// What one process knows of placements while another one, or an outage, changes what the store has.

import { expect, it } from 'vitest'
import { FakePlacements } from '../../test/support/fleet-engines.ts'
import { PlacementCache } from './placement-cache.ts'

function aCache(maxStalenessMs = 1_000) {
  const placements = new FakePlacements()
  const clock = { now: 1_000_000_000 }
  return {
    cache: new PlacementCache(
      placements,
      () => maxStalenessMs,
      () => clock.now,
    ),
    placements,
    clock,
  }
}

it('knows nothing of a key that it has not read', () => {
  expect(aCache().cache.current('k')).toBeUndefined()
})

it('trusts nothing while the store says that its reads may be stale at once', async () => {
  const { cache } = aCache(0)
  await cache.place('k', 'a', undefined)

  expect(cache.current('k')).toBeUndefined()
})

it('renews what another proxy has placed when it first uses it, and then once an hour', async () => {
  const { cache, placements, clock } = aCache()
  placements.placed.set('k', 'a')

  await cache.read('k')
  clock.now += 2_000
  await cache.read('k')
  expect(placements.writes).toBe(1)
  clock.now += 3_600_000
  await cache.read('k')

  expect(placements.writes).toBe(2)
})

it('reports where another proxy has placed the key instead', async () => {
  const { cache, placements } = aCache()
  placements.placed.set('k', 'b')

  expect(await cache.place('k', 'c', 'a')).toBe('b')
  expect(cache.current('k')).toBe('b')
})

it('places again what the store has lost', async () => {
  const { cache, placements } = aCache()
  await cache.place('k', 'a', undefined)
  placements.placed.clear()

  expect(await cache.read('k')).toBe('a')
  expect(placements.placed.get('k')).toBe('a')
})

it('goes on with what it knows while the store is away', async () => {
  const { cache, placements } = aCache()
  await cache.place('k', 'a', undefined)
  placements.isAway = true

  expect(await cache.read('k')).toBe('a')
  expect(await cache.read('new')).toBeUndefined()
  expect(await cache.place('k', 'b', 'a')).toBe('b')
  expect(cache.current('k')).toBe('b')
})
