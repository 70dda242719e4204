// The settings in force. Code reads reloadable settings here at each use, or registers an applier that is called at each reload.

import type { ReloadableSetting, Settings } from '../config/schema.ts'

/** Settings that only a restart changes. */
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
