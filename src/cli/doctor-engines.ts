// The engines that the doctor examines: those of the setting `upstream`. A DNS name is resolved once.

import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { openEngine } from '../compose/open-engine.ts'
import type { Settings } from '../config/schema.ts'
import { enginesOf } from '../config/upstreams.ts'
import { lookUpEngines, systemResolver } from '../engines/dns-engines.ts'
import type { OpenedEngine } from './doctor-parts.ts'

/** Limit of examined engines: the first ones of a larger fleet. */
const MAX_EXAMINED = 16
const WARM_DEADLINE_MS = 20_000

/** Does not connect yet, except to DNS. Throws `UPSTREAM_REFUSED` if a name cannot be looked up, and `CONFIG` for an invalid URL. */
export async function openDoctorEngines(settings: Settings, signal?: AbortSignal): Promise<readonly OpenedEngine[]> {
  const { upstream } = settings
  const specs = enginesOf(upstream) ?? (await lookUpEngines(String(upstream), systemResolver, MAX_EXAMINED, signal))
  const watchers = { metrics: createMetrics(), log: silentLogger, now: Date.now }
  return specs.slice(0, MAX_EXAMINED).map((spec) => {
    const { url, apiKey, kvServer, weight, drain } = spec
    return {
      url,
      weight: drain === true ? 0 : weight,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(kvServer === undefined ? {} : { kvServer }),
      engine: openEngine(settings, watchers, WARM_DEADLINE_MS, spec),
    }
  })
}
