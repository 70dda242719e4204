// The newest sessions of each scope that some id of the client narrows: what a history that nobody knows may have come from.
// In this process alone, and bounded: it serves an explanation, never the choice of a session.

import { LRUCache } from 'lru-cache'
import { isNarrowed } from './scope.ts'

/** Apps ask for titles, tags and questions beside each turn, each in a session of its own. */
const PER_SCOPE = 8

export class NewestSessions {
  readonly #scopes: LRUCache<string, readonly string[]>

  /** `maxScopes`: of about 500 bytes each. */
  constructor(maxScopes: number) {
    this.#scopes = new LRUCache({ max: maxScopes })
  }

  /** A session has finished a turn in that scope. Nothing is kept of scopes that hold all of a tenant. */
  note(scope: string, sessionId: string): void {
    if (!isNarrowed(scope)) return
    const others = (this.#scopes.get(scope) ?? []).filter((id) => id !== sessionId)
    this.#scopes.set(scope, [sessionId, ...others].slice(0, PER_SCOPE))
  }

  /** Ids, newest first; at most eight. */
  of(scope: string): readonly string[] {
    return this.#scopes.get(scope) ?? []
  }
}
