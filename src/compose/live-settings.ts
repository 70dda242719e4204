// The settings in force. What a reload may change is read here when it is needed, or handed on by an applier when it changes.

import type { ReloadableSetting, Settings } from '../config/schema.ts'

/** Settings that keep their values until the restart. */
export type FixedSettings = Omit<Settings, ReloadableSetting>

export class LiveSettings {
  #current: Settings
  /** One per component that keeps reloadable values, added while cwm starts. */
  readonly #appliers: ((settings: Settings) => void)[] = []

  constructor(settings: Settings) {
    this.#current = settings
  }

  get current(): Settings {
    return this.#current
  }

  /** Calls back with the settings of each reload. An applier must not throw: the others would keep the previous values. */
  onReload(apply: (settings: Settings) => void): void {
    this.#appliers.push(apply)
  }

  replace(settings: Settings): void {
    this.#current = settings
    for (const apply of this.#appliers) apply(settings)
  }
}
