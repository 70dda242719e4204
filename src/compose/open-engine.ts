// Opens the configured engine behind its breaker, whose changes are logged and shown in the metrics.

import type { Now } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Settings } from '../config/schema.ts'
import { firstAddressOf, isFleet } from '../config/upstreams.ts'
import { Breaker } from '../engines/breaker.ts'
import type { BreakerState, Engine } from '../engines/engine.ts'
import type { EngineSpec } from '../engines/engine-spec.ts'
import { engineIdOf } from '../engines/engine-url.ts'
import { GuardedUpstream } from '../engines/guarded-upstream.ts'
import { Upstream } from '../engines/upstream.ts'
import { VllmEngine } from '../engines/vllm/vllm-engine.ts'

export interface EngineWatchers {
  readonly metrics: Metrics
  readonly log: Logger
  readonly now: Now
  /** Called after each change of the breaker. */
  readonly onBreaker?: (state: BreakerState) => void
}

/**
 * Does not connect yet. `warmDeadlineMs`: the limit of one warm call. `spec`: one engine of several; absent: the first one in the settings.
 * Throws `CONFIG` if the URL is not http(s).
 */
export function openEngine(
  settings: Settings,
  { metrics, log, now, onBreaker }: EngineWatchers,
  warmDeadlineMs: number,
  spec: EngineSpec = { url: firstAddressOf(settings.upstream), weight: 1 },
): Engine {
  const id = engineIdOf(spec.url)
  // With several engines, a line of the log says which one it is about.
  const about = isFleet(settings.upstream) ? { engine: id } : {}
  const breaker = new Breaker({
    failures: settings.breaker_failures,
    openMs: settings.breaker_open_ms,
    now,
    onChange: (state, failure) => {
      if (state === 'open') {
        log.warn(
          { ...about, err: failure },
          'the breaker is open: cwm sends the upstream no requests for breaker_open_ms',
        )
      } else if (state === 'half_open') log.info(about, 'the breaker is half-open: one request tests the upstream')
      else log.info(about, 'the breaker is closed: the upstream is back')
      onBreaker?.(state)
    },
  })
  const upstream = new Upstream({
    url: spec.url,
    connections: settings.connections,
    connectTimeoutMs: settings.connect_timeout_ms,
    headersTimeoutMs: settings.headers_timeout_ms,
    bodyTimeoutMs: settings.stream_timeout_ms,
    keepAliveMs: settings.upstream_keep_alive_ms,
    onRetry: (cause) => metrics.upstreamRetries.inc({ cause }),
  })
  const { apiKey, kvServer } = spec
  return new VllmEngine(new GuardedUpstream(upstream, breaker, metrics.engines.requests.of(id)), {
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(kvServer === undefined ? {} : { kvServer }),
    limits: settings.limits,
    warmDeadlineMs,
    now,
  })
}
