// What a reload of the settings changes in a running cwm: decided here as a plain value, applied by compose.

import { isDeepStrictEqual } from 'node:util'
import { SettingsError } from './load.ts'
import { findConflicts } from './rules.ts'
import { type ReloadableSetting, reloadable, type SettingName, type Settings, settingNames } from './schema.ts'
import { isFleet } from './upstreams.ts'

export interface SettingsChange {
  /** The settings in force from now on. Those that need a restart keep their values. */
  readonly next: Settings
  /** Reloaded settings with another value than before. */
  readonly changed: readonly ReloadableSetting[]
  /** Settings whose values differ from those in force, but only take effect at the next start. */
  readonly needsRestart: readonly SettingName[]
  /** Keys of tenants that are accepted from now on, and those that no longer are, as `TENANT/NAME`. */
  readonly keysAdded: readonly string[]
  readonly keysRemoved: readonly string[]
}

/**
 * Compares the settings in force with those just read. Throws `SettingsError` if the two do not go together: for example, tenants cannot be
 * removed together with a `host` that is open to the network until the restart.
 */
export function planReload(running: Settings, read: Settings): SettingsChange {
  const differs = (name: SettingName) => !isDeepStrictEqual(running[name], read[name])
  const takesOver = (name: SettingName) =>
    isReloadable(name) && (name !== 'upstream' || (isFleet(running.upstream) && isFleet(read.upstream)))
  const taken = settingNames.filter(takesOver)
  const next = { ...running, ...Object.fromEntries(taken.map((name) => [name, read[name]])) } as Settings
  const needsRestart = settingNames.filter((name) => !takesOver(name) && differs(name))
  const conflicts = findConflicts(next).map(({ path, message }) => `${path.join('.')}: ${message}`)
  if (conflicts.length > 0) {
    throw new SettingsError(
      `these settings do not go together with ${needsRestart.join(', ')}, which need a restart; restart cwm instead:\n  ${conflicts.join('\n  ')}`,
    )
  }
  const [before, after] = [keysOf(running), keysOf(next)]
  return {
    next,
    changed: reloadable.filter((name) => takesOver(name) && differs(name)),
    needsRestart,
    keysAdded: namesOnlyIn(after, before),
    keysRemoved: namesOnlyIn(before, after),
  }
}

/** Whether a reload changes it; `upstream` only from one list of engines to another. */
export function isReloadable(name: SettingName): name is ReloadableSetting {
  return (reloadable as readonly SettingName[]).includes(name)
}

/** Names of keys by tenant and hash. A key with a known name and another hash is another key. */
function keysOf({ tenants = [] }: Settings): ReadonlyMap<string, string> {
  return new Map(
    tenants.flatMap(({ id, keys }) => keys.map(({ name, sha256 }) => [`${id} ${sha256}`, `${id}/${name}`])),
  )
}

function namesOnlyIn(keys: ReadonlyMap<string, string>, others: ReadonlyMap<string, string>): string[] {
  return [...keys].filter(([key]) => !others.has(key)).map(([, name]) => name)
}
