// The newest sessions of each scope that some id of the client narrows: what a history that nobody knows may have come from.
// In this process alone, and bounded: it serves an explanation, never the choice of a session.

import { LRUCache } from 'lru-cache'
import { isNarrowed } from '../identity/scope.ts'
import { ENTRY_BYTES, textBytes, valueBytes } from './heap-size.ts'

/** Apps ask for titles, tags and questions beside each turn, each in a session of its own. */
const PER_SCOPE = 8
const MAX_SCOPE_BYTES = 16 * 1024

export class NewestSessions {
  readonly #scopes: LRUCache<string, readonly string[]>

  /** `maxBytes`: a scope takes 250 and as many as its ids are long, a session of it 50. One of more than 16 KB is not noted. */
  constructor(maxBytes: number) {
    this.#scopes = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.min(maxBytes, MAX_SCOPE_BYTES),
      // Whoever names a user beyond Latin-1 has two bytes a character, and may send megabytes.
      sizeCalculation: (ids, scope) => ENTRY_BYTES + 2 * textBytes(scope) + valueBytes(ids),
    })
  }

  /** A session has finished a turn in that scope. Nothing is kept of scopes that hold all of a tenant. */
  record(scope: string, sessionId: string): void {
    if (!isNarrowed(scope)) return
    const others = (this.#scopes.get(scope) ?? []).filter((id) => id !== sessionId)
    this.#scopes.set(scope, [sessionId, ...others].slice(0, PER_SCOPE))
  }

  /** Ids, newest first; at most eight. */
  of(scope: string): readonly string[] {
    return this.#scopes.get(scope) ?? []
  }
}
