// How long each step of an operation took: part of its receipt.

/** Milliseconds per step, kept as they are finished. */
export class StepTimer {
  readonly ms: Record<string, number> = {}
  readonly #now: () => number
  readonly #start: number

  constructor(now: () => number) {
    this.#now = now
    this.#start = now()
  }

  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    const start = this.#now()
    try {
      return await work()
    } finally {
      this.ms[name] = this.#now() - start
      this.ms.total = this.#now() - this.#start
    }
  }
}
