// Concurrent calls for the same thing share one run. Nothing is remembered once it is over, neither a result nor a failure: caching is the
// caller's business.

/** One run per key. Holds as many entries as runs are in progress. */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>()

  /** The run in progress under this key, or a new one. */
  run(key: string, start: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const started = start().finally(() => this.#running.delete(key))
    this.#running.set(key, started)
    return started
  }

  /** The run in progress under this key. */
  current(key: string): Promise<T> | undefined {
    return this.#running.get(key)
  }
}

/** One run at a time, of one thing. */
export class SingleSlot<T> {
  #running: Promise<T> | undefined

  /** The run in progress, or a new one. */
  run(start: () => Promise<T>): Promise<T> {
    this.#running ??= start().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }
}
