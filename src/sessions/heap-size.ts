// Estimates the heap size of values, so that caches can be limited in bytes. V8 does not report the size of an object. These figures follow
// its 64-bit object layouts, and `npm run bench:sessions` compares them with the heap.

/** A cache entry without its key and value: one slot in its map and four in its lists. */
export const ENTRY_BYTES = 96
const STRING_BYTES = 20
const OBJECT_BYTES = 32
const SLOT_BYTES = 8
/** A number that is not a small integer is a separate object. */
const NUMBER_BYTES = 16
const MAX_SMALL = 2 ** 31

/** Bytes of a Latin-1 text. A text with other characters takes about twice as many. */
export function textBytes(text: string): number {
  return STRING_BYTES + text.length
}

/** Bytes of a plain value and everything in it. Parts that it shares with other values count in full. */
export function valueBytes(value: unknown): number {
  if (typeof value === 'string') return textBytes(value)
  if (typeof value === 'number') return Math.abs(value) < MAX_SMALL ? 0 : NUMBER_BYTES
  if (typeof value !== 'object' || value === null) return 0
  let sum = OBJECT_BYTES
  for (const key in value) sum += SLOT_BYTES + valueBytes(value[key as keyof typeof value])
  return sum
}
