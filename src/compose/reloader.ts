// Reloads the settings of a running cwm: on SIGHUP, and by the operator over REST. All of it takes effect, or nothing does.

import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import { type Logger, type LogLevel, logLevels } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import { planReload, type SettingsChange } from '../config/reload.ts'
import type { Settings } from '../config/schema.ts'
import type { Audit } from '../journal/audit.ts'
import type { LiveSettings } from './live-settings.ts'

export interface ReloaderParts {
  readonly live: LiveSettings
  /** Reads the settings as at start: the same file, variables, and flags. Throws `SettingsError`. */
  readonly load: () => Promise<Settings>
  /** Changes the minimum level of log lines. */
  readonly setLogLevel: (level: LogLevel) => void
  readonly audit: Pick<Audit, 'record'>
  readonly metrics: Pick<Metrics, 'reloads' | 'settingsReadAt'>
  readonly log: Logger
  readonly now: Now
}

/** Who asked: the operator over REST, or anyone who may send signals to the process. */
export type ReloadActor = 'operator' | 'sighup'

/** Concerns all tenants. No tenant can have this id, so no tenant sees these entries. */
const AUDIT_TENANT = '*'
/** Names of keys in a log line. */
const MAX_NAMED = 20

export class Reloader {
  readonly #parts: ReloaderParts
  #last: Promise<unknown> = Promise.resolve()
  /** The run that has not begun to read yet. */
  #next: Promise<SettingsChange> | undefined

  constructor(parts: ReloaderParts) {
    this.#parts = parts
    parts.metrics.settingsReadAt.set(parts.now() / 1_000)
  }

  /** One run at a time. Calls during a run share the next one. Throws `INVALID_SETTINGS` with all faults; then nothing has changed. */
  reload(actor: ReloadActor): Promise<SettingsChange> {
    this.#next ??= this.#begin(actor)
    return this.#next
  }

  #begin(actor: ReloadActor): Promise<SettingsChange> {
    const run = this.#last.then(() => {
      this.#next = undefined
      return this.#run(actor)
    })
    this.#last = run.catch(() => {})
    return run
  }

  async #run(actor: ReloadActor): Promise<SettingsChange> {
    const { live, load, setLogLevel, metrics, log, now } = this.#parts
    try {
      const change = planReload(live.current, await load())
      const quieter = rankOf(change.next) > rankOf(live.current)
      live.replace(change.next)
      metrics.reloads.inc({ outcome: 'ok' })
      metrics.settingsReadAt.set(now() / 1_000)
      // The line that reports the reload is written at the more verbose level of the two.
      if (!quieter) setLogLevel(change.next.log_level)
      this.#report(actor, change)
      if (quieter) setLogLevel(change.next.log_level)
      return change
    } catch (thrown) {
      const error = refusalOf(thrown)
      metrics.reloads.inc({ outcome: 'failed' })
      log.error({ err: error, by: actor }, 'settings not reloaded; the previous ones stay in force')
      this.#record(actor, error.code.toLowerCase())
      throw error
    }
  }

  #report(actor: ReloadActor, { changed, needsRestart, keysAdded, keysRemoved }: SettingsChange): void {
    const fields = {
      by: actor,
      changed,
      needsRestart,
      keysAdded: keysAdded.slice(0, MAX_NAMED),
      keysRemoved: keysRemoved.slice(0, MAX_NAMED),
    }
    const filled = Object.fromEntries(Object.entries(fields).filter(([, value]) => value.length > 0))
    this.#parts.log.info(filled, changed.length === 0 ? 'settings reloaded; none changed' : 'settings reloaded')
    this.#record(actor, 'ok', {
      changed: changed.join(', '),
      needs_restart: needsRestart.join(', '),
      keys_added: keysAdded.length,
      keys_removed: keysRemoved.length,
    })
  }

  #record(actor: ReloadActor, outcome: string, receipt?: Readonly<Record<string, string | number>>): void {
    this.#parts.audit.record({
      tenant: AUDIT_TENANT,
      actor,
      action: 'reload',
      target: 'settings',
      name: 'settings',
      outcome,
      ...(receipt === undefined ? {} : { receipt }),
    })
  }
}

const rankOf = ({ log_level }: Settings): number => logLevels.indexOf(log_level)

/** Faults in the settings are the caller's to fix; at start the same ones have the code `CONFIG`. */
function refusalOf(thrown: unknown): CwmError {
  const error = toCwmError(thrown)
  return error.code === 'CONFIG' ? new CwmError('INVALID_SETTINGS', error.message, { param: 'config' }) : error
}
