// Weighted rendezvous hashing: ranks engines for a key. Every proxy ranks alike, and if one engine of n comes or goes, only the keys that rank
// it first move: 1/n of them.

import { createHash } from 'node:crypto'

export interface Ranked {
  readonly id: string
  /** Its share of all keys, relative to the others. 0: behind all others. */
  readonly weight: number
}

/**
 * The candidates, best first. Affinity keys are HMACs, so nobody can choose one that ranks an engine first, and the hash needs no key of its
 * own.
 */
export function ranked<T extends Ranked>(key: string, candidates: readonly T[]): readonly T[] {
  return candidates
    .map((candidate) => ({ candidate, score: scoreOf(key, candidate) }))
    .sort((a, b) => b.score - a.score)
    .map(({ candidate }) => candidate)
}

/** -weight / ln(h) with h uniform in (0, 1): C. Schindelhauer and G. Schomaker, "Weighted distributed hash tables", 2005. */
function scoreOf(key: string, { id, weight }: Ranked): number {
  const hash = createHash('sha256')
    .update(JSON.stringify([key, id]))
    .digest()
  // Neither 0 nor 1, which have no logarithm to divide by.
  const uniform = (hash.readUIntBE(0, 6) + 0.5) / 2 ** 48
  return weight > 0 ? -weight / Math.log(uniform) : uniform - 1
}
