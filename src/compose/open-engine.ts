// Opens the configured engine behind its breaker, whose changes are logged and shown in the metrics.

import type { Now } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Settings } from '../config/schema.ts'
import { firstAddressOf } from '../config/upstreams.ts'
import { Breaker } from '../engines/breaker.ts'
import type { BreakerState, Engine } from '../engines/engine.ts'
import { GuardedUpstream } from '../engines/guarded-upstream.ts'
import { Upstream } from '../engines/upstream.ts'
import { VllmEngine } from '../engines/vllm/vllm-engine.ts'

export interface EngineWatchers {
  readonly metrics: Metrics
  readonly log: Logger
  readonly now: Now
}

const gauges: Readonly<Record<BreakerState, number>> = { closed: 0, half_open: 1, open: 2 }

/** Does not connect yet. `warmDeadlineMs`: the limit of one warm call. Throws `CONFIG` if the URL is not http(s). */
export function openEngine(settings: Settings, { metrics, log, now }: EngineWatchers, warmDeadlineMs: number): Engine {
  const breaker = new Breaker({
    failures: settings.breaker_failures,
    openMs: settings.breaker_open_ms,
    now,
    onChange: (state, failure) => {
      metrics.breakerState.set(gauges[state])
      if (state === 'open') log.warn({ err: failure }, 'the upstream is not asked for a while (breaker_open_ms)')
      else if (state === 'half_open') log.info('one request shows whether the upstream is back')
      else log.info('the upstream is back')
    },
  })
  const upstream = new Upstream({
    url: firstAddressOf(settings.upstream),
    connections: settings.connections,
    connectTimeoutMs: settings.connect_timeout_ms,
    headersTimeoutMs: settings.headers_timeout_ms,
    bodyTimeoutMs: settings.stream_timeout_ms,
    keepAliveMs: settings.upstream_keep_alive_ms,
    onRetry: (cause) => metrics.upstreamRetries.inc({ cause }),
  })
  return new VllmEngine(new GuardedUpstream(upstream, breaker), { limits: settings.limits, warmDeadlineMs, now })
}
