// Sessions in memory within a bound of bytes, those longest unused going first. By tenant and id, as one key.

import { LRUCache } from 'lru-cache'
import { ENTRY_BYTES, textBytes } from './heap-size.ts'
import type { LiveSession } from './live-session.ts'

export class SessionCache {
  readonly #sessions: LRUCache<string, LiveSession>

  constructor(maxBytes: number) {
    this.#sessions = new LRUCache({ maxSize: Math.floor(maxBytes), sizeCalculation: weightOf })
  }

  get(key: string): LiveSession | undefined {
    return this.#sessions.get(key)
  }

  set(key: string, session: LiveSession): void {
    this.#sessions.set(key, session)
  }

  delete(key: string): void {
    this.#sessions.delete(key)
  }

  /** Call after a turn, which may have made it heavier. The cache weighs no object twice, so such a one is put in anew. */
  weigh(key: string, session: LiveSession): void {
    const kept = this.#sessions.info(key)
    if (kept?.value !== session || kept.size === weightOf(session, key)) return
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
  }

  /** All of them, as they are now. */
  entries(): readonly (readonly [string, LiveSession])[] {
    return [...this.#sessions.entries()]
  }
}

function weightOf(session: LiveSession, key: string): number {
  return ENTRY_BYTES + textBytes(key) + session.bytes
}
