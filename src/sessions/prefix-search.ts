// Finds the session that a history belongs to, by the longest part of it that was delivered before.

import { type Chain, type ChainCandidate, windowScopedDigest } from '../identity/chain.ts'
import type { Histories } from './histories.ts'
import type { LiveSession } from './live-session.ts'

/**
 * The result of a search. `ambiguous`: several sessions hold the history. `behindWindow`: at least one of them has a base window.
 * `unknown`: the store is unavailable, so other holders cannot be excluded.
 */
export type PrefixMatch =
  | { readonly kind: 'one'; readonly session: LiveSession }
  | { readonly kind: 'ambiguous'; readonly behindWindow: boolean }
  | { readonly kind: 'unknown' }

export interface PrefixSearchParts {
  readonly histories: Pick<Histories, 'find' | 'peek'>
  /** Other processes write to the store. */
  readonly isShared: boolean
  readonly find: (tenant: string, id: string) => Promise<LiveSession | undefined>
  /** The session if it is in this process's memory. */
  readonly live: (tenant: string, id: string) => LiveSession | undefined
}

/** Looks up histories by their chains. */
export class PrefixSearch {
  readonly #parts: PrefixSearchParts

  constructor(parts: PrefixSearchParts) {
    this.#parts = parts
  }

  /**
   * The session whose delivered history the chain extends, found by its longest known boundary; undefined if there is none. Throws what
   * the store throws.
   */
  async match(tenant: string, chain: Pick<Chain, 'candidates'>): Promise<PrefixMatch | undefined> {
    const { histories, isShared, find } = this.#parts
    const { candidates } = chain
    // The newest candidate nearly always matches. A store over a network is queried once for all candidates.
    const newest = isShared ? candidates.length : 1
    let hits = await histories.find(tenant, digestsOf(candidates.slice(0, newest)))
    for (const [i, candidate] of candidates.entries()) {
      if (i === newest) hits = await histories.find(tenant, digestsOf(candidates.slice(newest)))
      const { digest } = candidate
      const hit = hits.get(digest)
      if (hit === undefined) continue
      if (hit === 'ambiguous') {
        const mark = windowScopedDigest(digest)
        return { kind: 'ambiguous', behindWindow: (await histories.find(tenant, [mark])).has(mark) }
      }
      const session = await find(tenant, hit.sessionId)
      if (session === undefined) continue
      session.continuedFrom(candidate)
      return { kind: 'one', session }
    }
    return undefined
  }

  /** Whether a session with a base window holds the history, as far as this process knows. */
  isBehindWindow(tenant: string, chain: Pick<Chain, 'candidates'>): boolean {
    const { histories, live } = this.#parts
    return chain.candidates.some(({ digest }) => {
      const hit = histories.peek(digest)
      if (hit === 'ambiguous') return histories.peek(windowScopedDigest(digest)) !== undefined
      return hit !== undefined && live(tenant, hit.sessionId)?.record.baseWindow !== undefined
    })
  }
}

function digestsOf(candidates: readonly ChainCandidate[]): string[] {
  return candidates.map(({ digest }) => digest)
}
