// What every step of the start works with.

import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { MemoryBudgets } from '../config/memory.ts'
import type { FixedSettings, LiveSettings } from './live-settings.ts'

export interface Start {
  /** Without reloadable settings, so that no code keeps an outdated value of one. */
  readonly settings: FixedSettings
  /** All settings, as they are in force. */
  readonly live: LiveSettings
  readonly memory: MemoryBudgets
  readonly closers: Closers
  readonly metrics: Metrics
  readonly log: Logger
  readonly now: Now
}

/** May return a promise; its result does not matter. */
type Close = () => unknown

/** Everything that must be closed, in the order in which it was opened. */
export class Closers {
  readonly #log: Logger
  readonly #all: Close[] = []

  constructor(log: Logger) {
    this.#log = log
  }

  add(close: Close): void {
    this.#all.push(close)
  }

  /** Closes what was opened last first. Never throws: a failure to close one part must not keep the others open, least of all the store. */
  async closeAll(): Promise<void> {
    for (const close of this.#all.reverse()) {
      try {
        await close()
      } catch (thrown) {
        this.#log.error({ err: toCwmError(thrown) }, 'a component did not close cleanly')
      }
    }
  }
}
