// Engines that were removed from the fleet with requests in flight. Each is closed once its last request has ended.

import type { CwmError } from '../base/errors.ts'
import type { Engine } from './engine.ts'

const POLL_MS = 500

/** Bounded by the requests in flight. */
export class RetiredEngines {
  #engines: readonly Engine[] = []
  #timer: NodeJS.Timeout | undefined

  add(engine: Engine): void {
    this.#engines = [...this.#engines, engine]
    this.#timer ??= setInterval(() => this.closeIdle(), POLL_MS).unref()
    this.closeIdle()
  }

  /** Closes those without requests in flight. */
  closeIdle(): void {
    const idle = this.#engines.filter(({ health }) => health.inFlight === 0)
    this.#engines = this.#engines.filter((engine) => !idle.includes(engine))
    for (const engine of idle) void engine.close()
    if (this.#engines.length === 0) this.#stop()
  }

  /** Returns how many requests were in flight. */
  end(reason: CwmError): number {
    return this.#engines.reduce((sum, engine) => sum + engine.end(reason), 0)
  }

  async close(): Promise<void> {
    this.#stop()
    await Promise.all(this.#engines.map((engine) => engine.close()))
    this.#engines = []
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
