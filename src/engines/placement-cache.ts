// This process's cache of placements (key to engine). Reads unknown ones from the store, and renews those in use.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { Placements } from './fleet.ts'

/** A key and an id are some 200 bytes, so the cache takes at most 20 MB. Evicted keys are read from the store again. */
const MAX_KEYS = 100_000
/** How often a key that is used is stored again, which renews its expiry in the store. */
export const RENEW_MS = 3_600_000

interface Entry {
  readonly engine: string
  readonly readAt: number
  readonly renewedAt: number
}

export class PlacementCache {
  readonly #placements: Placements
  readonly #maxStalenessMs: () => number
  readonly #now: Now
  readonly #entries = new LRUCache<string, Entry>({ max: MAX_KEYS })

  /** `maxStalenessMs`: how long another proxy's change may go unnoticed. */
  constructor(placements: Placements, maxStalenessMs: () => number, now: Now) {
    this.#placements = placements
    this.#maxStalenessMs = maxStalenessMs
    this.#now = now
  }

  /** The engine of a key, if that is known without asking the store. */
  current(key: string): string | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || this.#now() - entry.readAt >= this.#maxStalenessMs()) return undefined
    this.#renew(key, entry)
    return entry.engine
  }

  /**
   * The engine of a key in the store; undefined if the key is not placed. If the store has lost the key or does not answer, returns the engine
   * that this process remembers. Never rejects.
   */
  async read(key: string): Promise<string | undefined> {
    const known = this.#entries.get(key)
    try {
      const engine = await this.#placements.find(key)
      if (engine === undefined) return known === undefined ? undefined : await this.place(key, known.engine, undefined)
      this.#renew(key, this.#keep(key, engine, known?.engine === engine ? known.renewedAt : 0))
      return engine
    } catch {
      return known?.engine
    }
  }

  /**
   * Places a key, unless another proxy has placed it on an engine other than `instead`. Returns the engine where the key is now. While the
   * store is unavailable, only this process knows the placement. Never rejects.
   */
  async place(key: string, engine: string, instead: string | undefined): Promise<string> {
    const now = this.#now()
    try {
      const placed = await this.#placements.place(key, engine, instead)
      this.#keep(key, placed, now)
      return placed
    } catch {
      this.#keep(key, engine, 0)
      return engine
    }
  }

  #keep(key: string, engine: string, renewedAt: number): Entry {
    const entry = { engine, readAt: this.#now(), renewedAt }
    this.#entries.set(key, entry)
    return entry
  }

  #renew(key: string, entry: Entry): void {
    const now = this.#now()
    if (now - entry.renewedAt < RENEW_MS) return
    this.#entries.set(key, { ...entry, renewedAt: now })
    this.#placements.place(key, entry.engine, undefined).catch(() => {
      // A later use renews it. If it expires before that, the next turn is placed again.
    })
  }
}
