import { describe, expect, it } from 'vitest'
import { createMetrics } from './metrics.ts'
import type { EngineSample } from './metrics-engines.ts'

const up = { isUp: true, isDraining: false, breaker: 'closed', inFlight: 0 } as const
const linesOf = async (metrics: ReturnType<typeof createMetrics>) =>
  (await metrics.text()).split('\n').filter((line) => line.startsWith('cwm_engine_'))

describe('the metrics of engines', () => {
  it('have one series for each engine, and none for those that were removed', async () => {
    const metrics = createMetrics()
    let samples: readonly EngineSample[] = [
      { id: 'http://a:8000', ...up },
      { id: 'http://b:8000/x', isUp: false, isDraining: true, breaker: 'open', inFlight: 3 },
    ]
    metrics.engines.watch(() => samples)
    metrics.engines.requests.of('http://b:8000/x').inc(5)

    const both = await linesOf(metrics)
    samples = samples.slice(0, 1)
    const left = await linesOf(metrics)

    expect(both).toEqual(
      expect.arrayContaining([
        'cwm_engine_up{engine="a:8000"} 1',
        'cwm_engine_up{engine="b:8000/x"} 0',
        'cwm_engine_draining{engine="b:8000/x"} 1',
        'cwm_engine_breaker_state{engine="b:8000/x"} 2',
        'cwm_engine_requests_in_flight{engine="b:8000/x"} 3',
        'cwm_engine_requests_total{engine="b:8000/x"} 5',
        'cwm_engine_failovers_total{engine="a:8000"} 0',
      ]),
    )
    expect(left.filter((line) => line.includes('b:8000'))).toEqual([])
    samples = [...samples, { id: 'http://b:8000/x', ...up }]
    expect(await linesOf(metrics)).toContain('cwm_engine_requests_total{engine="b:8000/x"} 0')
  })
})
