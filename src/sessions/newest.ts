// The newest sessions of each scope that a client's id narrows: an unknown history may have come from one of them. Only in this process,
// and bounded. Used to explain a prefix break, never to choose a session.

import { LRUCache } from 'lru-cache'
import { isNarrowed } from '../identity/scope.ts'
import { ENTRY_BYTES, textBytes, valueBytes } from './heap-size.ts'

/** Sessions per scope. Apps also request titles, tags and follow-up questions for each turn, each in a separate session. */
const PER_SCOPE = 8
const MAX_SCOPE_BYTES = 16 * 1024

export class NewestSessions {
  readonly #scopes: LRUCache<string, readonly string[]>

  /** `maxBytes`: a scope takes about 250 plus twice its length, each of its sessions 50. A scope over 16 KB is not recorded. */
  constructor(maxBytes: number) {
    this.#scopes = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.min(maxBytes, MAX_SCOPE_BYTES),
      // A user name beyond Latin-1 takes two bytes per character, and may be megabytes long.
      sizeCalculation: (ids, scope) => ENTRY_BYTES + 2 * textBytes(scope) + valueBytes(ids),
    })
  }

  /** Records that a session finished a turn in that scope. Ignores scopes that cover a whole tenant. */
  record(scope: string, sessionId: string): void {
    if (!isNarrowed(scope)) return
    const others = (this.#scopes.get(scope) ?? []).filter((id) => id !== sessionId)
    this.#scopes.set(scope, [sessionId, ...others].slice(0, PER_SCOPE))
  }

  /** At most eight session ids, newest first. */
  of(scope: string): readonly string[] {
    return this.#scopes.get(scope) ?? []
  }
}
