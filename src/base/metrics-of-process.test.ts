import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { addProcessMetrics } from './metrics-of-process.ts'

const valueIn = async (registry: Registry, name: string) =>
  Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await registry.metrics())?.[1])

it('report the current heap on each scrape', async () => {
  const registry = new Registry()
  addProcessMetrics(registry)
  const before = await valueIn(registry, 'nodejs_heap_size_used_bytes')

  const held = Array.from({ length: 1_000_000 }, (_, n) => ({ n }))

  expect((await valueIn(registry, 'nodejs_heap_size_used_bytes')) - before).toBeGreaterThan(held.length)
})

it('report the event-loop delay since the last scrape', async () => {
  const registry = new Registry()
  addProcessMetrics(registry)
  const delay = () => valueIn(registry, 'nodejs_eventloop_lag_max_seconds')
  await delay()

  // A measurement begins at the timer's first tick after a scrape, which a busy machine may put behind the block.
  const turn = () => new Promise((resolve) => setTimeout(resolve, 50))
  let blocked = 0
  while (blocked < 0.1) {
    await turn()
    const end = performance.now() + 200
    while (performance.now() < end);
    await turn()
    blocked = await delay()
  }

  expect(blocked).toBeLessThan(5)
})

it('report CPU time as a counter that keeps growing across scrapes', async () => {
  const registry = new Registry()
  addProcessMetrics(registry)
  const spent = () => process.cpuUsage().user + process.cpuUsage().system

  const before = spent() / 1e6
  await registry.metrics()
  const told = await valueIn(registry, 'process_cpu_seconds_total')

  expect(await registry.metrics()).toContain('# TYPE process_cpu_seconds_total counter')
  expect(told).toBeGreaterThanOrEqual(before)
  expect(told).toBeLessThanOrEqual(spent() / 1e6)
})
