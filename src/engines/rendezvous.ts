// Weighted rendezvous hashing: ranks engines for a key. Every proxy computes the same ranking. If one of n engines comes or goes, only the keys
// that rank it first move: 1/n of them.

import { createHash } from 'node:crypto'

export interface Ranked {
  readonly id: string
  /** Its share of all keys, relative to the others. 0: ranked behind all others. */
  readonly weight: number
}

/**
 * The candidates, best first. The hash needs no secret: affinity keys are HMACs, so a client cannot choose one that ranks an engine first.
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
  // Strictly between 0 and 1: log(0) is infinite, and log(1) is 0, a division by zero.
  const uniform = (hash.readUIntBE(0, 6) + 0.5) / 2 ** 48
  return weight > 0 ? -weight / Math.log(uniform) : uniform - 1
}
