// Metrics of the process itself, under the names that Node dashboards use. They are read on a scrape: prom-client's own set starts a GC
// observer and a timer that nothing stops, once per registry in the process.

import { readdirSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'

/** Delays are measured from the first scrape on; each scrape reports the time since the previous one. */
const RESOLUTION_MS = 20

/** Adds memory, CPU time, open file descriptors (Linux) and event-loop delay of this process to the registry. */
export function addProcessMetrics(registry: Registry): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss())
  gauge('nodejs_heap_size_used_bytes', "JavaScript's heap in use", () => process.memoryUsage().heapUsed)
  gauge(
    'nodejs_external_memory_bytes',
    'Buffers and other memory outside the heap',
    () => process.memoryUsage().external,
  )
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time, user and system',
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  if (process.platform === 'linux') {
    gauge('process_open_fds', 'Open file descriptors', () => readdirSync('/proc/self/fd').length)
  }
  let delays: IntervalHistogram | undefined
  gauge('nodejs_eventloop_lag_max_seconds', 'Longest delay of the event loop since this was last asked', () => {
    if (delays === undefined) {
      delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      delays.enable()
      return 0
    }
    const longest = Math.max(0, delays.max / 1e9 - RESOLUTION_MS / 1000)
    delays.reset()
    return longest
  })
}
