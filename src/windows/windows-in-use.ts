// Which windows are being thawed or asked, by this process or by another one that shares the store. Meanwhile, no
// process releases its pin. If a process dies, its mark in the store expires after 30 s.

import type { Metrics } from '../base/metrics.ts'
import type { Store } from '../store/store.ts'

const MARK_MS = 30_000
const RENEW_MS = 10_000

type UseStore = Pick<Store, 'enterUse' | 'leaveUse' | 'isUsedElsewhere'>

interface Use {
  count: number
  readonly entered: Promise<void>
  readonly renewal: NodeJS.Timeout
}

export class WindowsInUse {
  readonly #store: UseStore
  /** By window id: one per window that this process works on. */
  readonly #uses = new Map<string, Use>()

  constructor(store: UseStore, metrics: Pick<Metrics, 'watch'>) {
    this.#store = store
    metrics.watch('cwm_windows_in_use', 'Windows that this proxy is thawing or asking', () => this.#uses.size)
  }

  /** Runs work on a window. Throws what the store and the work throw. */
  async during<T>(id: string, work: () => Promise<T>): Promise<T> {
    const use = this.#uses.get(id) ?? this.#enter(id)
    use.count++
    try {
      await use.entered
      return await work()
    } finally {
      use.count--
      if (use.count === 0) this.#leave(id, use)
    }
  }

  isUsedHere(id: string): boolean {
    return this.#uses.has(id)
  }

  /** Whether any process uses it. Throws what the store throws. */
  async isInUse(id: string): Promise<boolean> {
    return this.isUsedHere(id) || (await this.#store.isUsedElsewhere(nameOf(id)))
  }

  #enter(id: string): Use {
    const name = nameOf(id)
    // A renewal that fails is tried again in ten seconds, and two may fail.
    const renewal = setInterval(() => void this.#store.enterUse(name, MARK_MS).catch(() => {}), RENEW_MS)
    renewal.unref()
    const use = { count: 0, entered: this.#store.enterUse(name, MARK_MS), renewal }
    this.#uses.set(id, use)
    return use
  }

  #leave(id: string, { renewal }: Use): void {
    clearInterval(renewal)
    this.#uses.delete(id)
    this.#store.leaveUse(nameOf(id)).catch(() => {})
  }
}

function nameOf(id: string): string {
  return `window ${id}`
}
