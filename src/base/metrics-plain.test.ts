import { Histogram, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { plainMetrics, secondsBuckets } from './metrics-plain.ts'

describe('plain metrics', () => {
  it('report counts by their labels', async () => {
    const registry = new Registry()
    const { counter, counters } = plainMetrics(registry)
    const gone = counter('gone_total', 'who left')
    const requests = counters('requests_total', 'by route and status', 'route', 'status')

    gone.inc()
    gone.inc(2)
    requests.inc('/v1/models', '200')
    requests.inc('/v1/models', '200')
    requests.inc('/v1/models', '404')
    await registry.metrics()

    const text = await registry.metrics()
    expect(text).toContain('\ngone_total 3\n')
    expect(text).toContain('requests_total{route="/v1/models",status="200"} 2')
    expect(text).toContain('requests_total{route="/v1/models",status="404"} 1')
  })

  it("report durations exactly like prom-client's own histogram", async () => {
    const [own, theirs] = [new Registry(), new Registry()]
    const [name, help] = ['seconds', 'how long']
    const plain = plainMetrics(own).histogram(name, help, 'route')
    const reference = new Histogram({
      name,
      help,
      labelNames: ['route'],
      buckets: [...secondsBuckets],
      registers: [theirs],
    })

    for (const [i, seconds] of [0, 0.005, 0.0051, 0.2, 1, 299, 300, 301].entries()) {
      const route = i % 2 === 0 ? 'even' : 'odd'
      plain.observe(route, seconds)
      reference.observe({ route }, seconds)
    }

    expect(await own.metrics()).toBe(await theirs.metrics())
  })
})
