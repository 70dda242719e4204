// Keeps a fleet's engines equal to the setting `upstream`: applies reloads, and follows a DNS name.

import { isDeepStrictEqual } from 'node:util'
import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import { enginesOf, MAX_ENGINES, type UpstreamSetting } from '../config/upstreams.ts'
import { type EngineResolver, lookUpEngines } from '../engines/dns-engines.ts'
import { dnsNameOf } from '../engines/dns-name.ts'
import type { EngineSpec } from '../engines/engine-spec.ts'
import type { LiveSettings } from './live-settings.ts'

export interface EngineSourceParts {
  readonly live: LiveSettings
  readonly resolver: EngineResolver
  /** Replaces the engines of the fleet with these, one or more. */
  readonly update: (engines: readonly EngineSpec[]) => void
  readonly metrics: Pick<Metrics, 'engineLookups'>
  readonly log: Logger
}

/**
 * The engines to start with. Until a DNS name is resolved, the name itself is the only engine, so that an error of a request shows the name.
 */
export function firstEngines(setting: UpstreamSetting): readonly EngineSpec[] {
  const listed = enginesOf(setting)
  if (listed !== undefined) return listed
  const { scheme, name, port, path } = dnsNameOf(String(setting))
  return [{ url: `${scheme}//${name}${port === undefined ? '' : `:${port}`}${path}`, weight: 1 }]
}

export class EngineSource {
  readonly #parts: EngineSourceParts
  #current: readonly EngineSpec[]
  #setting: UpstreamSetting
  /** Whether the last lookup failed: only the first failure in a row is logged. */
  #isFailing = false

  constructor(parts: EngineSourceParts) {
    this.#parts = parts
    this.#setting = parts.live.current.upstream
    this.#current = firstEngines(this.#setting)
    parts.live.onReload(({ upstream }) => this.#reload(upstream))
  }

  /** Resolves the DNS name, if the setting is one. If that fails, the engines stay as they are. Never throws. */
  async refresh(signal?: AbortSignal): Promise<void> {
    const { resolver, metrics, log } = this.#parts
    const setting = this.#setting
    if (enginesOf(setting) !== undefined) return
    try {
      const found = await lookUpEngines(String(setting), resolver, MAX_ENGINES, signal)
      metrics.engineLookups.inc({ outcome: 'ok' })
      if (this.#isFailing) log.info('DNS lookup of the engines succeeds again')
      this.#isFailing = false
      // A reload during the lookup takes precedence.
      if (setting === this.#setting) this.#take(found)
    } catch (thrown) {
      if (signal?.aborted === true) return
      metrics.engineLookups.inc({ outcome: 'failed' })
      if (!this.#isFailing)
        log.warn(
          { err: toCwmError(thrown) },
          'DNS lookup of the engines failed; keeping the engines of the last lookup',
        )
      this.#isFailing = true
    }
  }

  #reload(setting: UpstreamSetting): void {
    if (isDeepStrictEqual(setting, this.#setting)) return
    this.#setting = setting
    const listed = enginesOf(setting)
    if (listed === undefined) void this.refresh()
    else this.#take(listed)
  }

  #take(engines: readonly EngineSpec[]): void {
    if (isDeepStrictEqual(engines, this.#current)) return
    this.#parts.update(engines)
    // Not before: engines that were refused must be tried again with the next look-up.
    this.#current = engines
  }
}
