import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { addProcessMetrics } from './metrics-of-process.ts'

const valueIn = async (registry: Registry, name: string) =>
  Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await registry.metrics())?.[1])

it('tells the heap as it is at the moment of asking', async () => {
  const registry = new Registry()
  addProcessMetrics(registry)
  const before = await valueIn(registry, 'nodejs_heap_size_used_bytes')

  const held = Array.from({ length: 1_000_000 }, (_, n) => ({ n }))

  expect((await valueIn(registry, 'nodejs_heap_size_used_bytes')) - before).toBeGreaterThan(held.length)
})

it('tells how long the event loop stood still since it was last asked', async () => {
  const registry = new Registry()
  addProcessMetrics(registry)
  await valueIn(registry, 'nodejs_eventloop_lag_max_seconds')
  const turn = () => new Promise((resolve) => setTimeout(resolve, 50))
  await turn()

  const end = performance.now() + 200
  while (performance.now() < end);
  await turn()
  const blocked = await valueIn(registry, 'nodejs_eventloop_lag_max_seconds')

  expect(blocked).toBeGreaterThan(0.1)
  expect(blocked).toBeLessThan(5)
})
