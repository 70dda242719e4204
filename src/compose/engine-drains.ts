// The engines that the operator has drained. They are kept in the store, so all proxies follow, and drains survive restarts. Engines that the
// settings drain (`drain: true`) are not among them.

import type { EngineFleet } from '../engines/fleet.ts'
import type { Store } from '../store/store.ts'

export class EngineDrains {
  readonly #store: Pick<Store, 'setDraining' | 'listDraining'>
  readonly #fleet: Pick<EngineFleet, 'members' | 'drain' | 'resume'>
  /** By engine id. Bounded by the store. */
  #drained: ReadonlySet<string> = new Set()
  /** How often this process has drained or resumed an engine. */
  #changes = 0

  constructor(
    store: Pick<Store, 'setDraining' | 'listDraining' | 'onChange'>,
    fleet: Pick<EngineFleet, 'members' | 'drain' | 'resume' | 'onChange'>,
  ) {
    this.#store = store
    this.#fleet = fleet
    fleet.onChange(({ kind }) => {
      // A drained engine may be removed and added again.
      if (kind === 'added') this.#apply()
    })
    store.onChange(({ kind }) => {
      if (kind === 'engines') void this.sync()
    })
  }

  has(id: string): boolean {
    return this.#drained.has(id)
  }

  /** Reads the store and applies its drains. Changes nothing if the store does not answer. Never throws. */
  async sync(): Promise<void> {
    const changes = this.#changes
    try {
      const drained = new Set(await this.#store.listDraining())
      // What was read before a change of this process is older than that.
      if (changes !== this.#changes) return
      this.#drained = drained
    } catch {
      return
    }
    this.#apply()
  }

  /** Throws `STORE_UNAVAILABLE`; then nothing has changed. */
  async set(id: string, drained: boolean): Promise<void> {
    await this.#store.setDraining(id, drained)
    this.#changes++
    const others = [...this.#drained].filter((one) => one !== id)
    this.#drained = new Set(drained ? [...others, id] : others)
    this.#apply()
  }

  #apply(): void {
    for (const { id } of this.#fleet.members()) {
      if (this.#drained.has(id)) this.#fleet.drain(id)
      else this.#fleet.resume(id)
    }
  }
}
