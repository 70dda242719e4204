// Hashes of keys for tables in memory. Collisions are harmless: a lookup then reads one row more.

/** A 32-bit hash of a text (FNV-1a with MurmurHash3's finalizer). Each seed gives another hash. */
export function hashOf(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mixed(hash)
}

/** Mixes `hash`, so that each bit of the result depends on all bits. */
export function mixed(hash: number): number {
  const first = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35)
  return (second ^ (second >>> 16)) >>> 0
}
