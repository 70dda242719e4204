// Sessions in memory, by session key, bounded by bytes. The least recently used are dropped first.

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

  /** Updates a session's size. Call it after a turn. The cache measures each object only once, so a changed session is inserted again. */
  weigh(key: string, session: LiveSession): void {
    const kept = this.#sessions.info(key)
    if (kept?.value !== session || kept.size === weightOf(session, key)) return
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
  }

  /** A snapshot of all entries. */
  entries(): readonly (readonly [string, LiveSession])[] {
    return [...this.#sessions.entries()]
  }
}

function weightOf(session: LiveSession, key: string): number {
  return ENTRY_BYTES + textBytes(key) + session.bytes
}
