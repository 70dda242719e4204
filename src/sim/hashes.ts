// Chained hashes: each identifies a block of a sequence together with everything before it.

import { createHash } from 'node:crypto'

/**
 * One hex hash per whole block of `size` ids; a trailing partial block is ignored. `seed` (a salt) separates two spaces: it enters the
 * first hash, and thereby all others.
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
