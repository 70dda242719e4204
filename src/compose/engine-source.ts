// Keeps a fleet's engines as the setting `upstream` has them: after a reload, and while a name in DNS changes.

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
  /** Takes the engines, one or more. */
  readonly update: (engines: readonly EngineSpec[]) => void
  readonly metrics: Pick<Metrics, 'engineLookups'>
  readonly log: Logger
}

/**
 * The engines to start with. Until a name in DNS was looked up, the name itself is the only engine, so that requests fail with an error
 * that shows it.
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
  /** Whether the last look-up failed: only the first failure in a row is logged. */
  #isFailing = false

  constructor(parts: EngineSourceParts) {
    this.#parts = parts
    this.#setting = parts.live.current.upstream
    this.#current = firstEngines(this.#setting)
    parts.live.onReload(({ upstream }) => this.#reload(upstream))
  }

  /** Looks the engines up, if they have a name in DNS. If that fails, they stay as they are. Never throws. */
  async refresh(signal?: AbortSignal): Promise<void> {
    const { resolver, metrics, log } = this.#parts
    const setting = this.#setting
    if (enginesOf(setting) !== undefined) return
    try {
      const found = await lookUpEngines(String(setting), resolver, MAX_ENGINES, signal)
      metrics.engineLookups.inc({ outcome: 'ok' })
      if (this.#isFailing) log.info('the engines can be looked up again')
      this.#isFailing = false
      // A reload during the look-up takes precedence.
      if (setting === this.#setting) this.#take(found)
    } catch (thrown) {
      if (signal?.aborted === true) return
      metrics.engineLookups.inc({ outcome: 'failed' })
      if (!this.#isFailing) log.warn({ err: toCwmError(thrown) }, 'the engines stay as they were looked up last')
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
