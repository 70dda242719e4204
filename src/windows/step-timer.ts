// Measures how long each step of an operation takes, for its receipt.

/** Milliseconds per finished step. */
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
