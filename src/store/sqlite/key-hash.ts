// Hashes of keys for tables in memory. Not for anything that a client could turn against us: whoever finds two keys of one hash makes a
// look-up read one row more.

/** 32 bits of a text (FNV-1a with the finish of MurmurHash3). Another seed is another hash. */
export function hashOf(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mixed(hash)
}

/** Each bit of it depends on all bits of `hash`. */
export function mixed(hash: number): number {
  const first = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35)
  return (second ^ (second >>> 16)) >>> 0
}
