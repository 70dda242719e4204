// Chained hashes: each names a piece of a sequence together with all that stands before it.

import { createHash } from 'node:crypto'

/**
 * One hash per whole piece of `size` ids, as hex; a trailing part is left out.
 * `seed` is what keeps two spaces apart (a salt); it enters the first hash and through it all others.
 */
export function chainHashes(ids: readonly number[], size: number, seed: string): string[] {
  const hashes: string[] = []
  let parent = createHash('sha256').update(seed).digest()
  for (let start = 0; start + size <= ids.length; start += size) {
    const piece = Buffer.from(Uint32Array.from(ids.slice(start, start + size)).buffer)
    parent = createHash('sha256').update(parent).update(piece).digest()
    hashes.push(parent.toString('hex'))
  }
  return hashes
}
