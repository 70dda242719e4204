// What values kept in memory weigh, so that caches are bounded by bytes. V8 tells nobody what an object takes: these are its layouts
// on 64 bits, and `npm run bench:sessions` holds them against the heap.

/** An entry of a cache beside its key and value: a slot of its map, and four of its lists. */
export const ENTRY_BYTES = 96
const STRING_BYTES = 20
const OBJECT_BYTES = 32
const SLOT_BYTES = 8
/** A number that is no small integer is an object of its own. */
const NUMBER_BYTES = 16
const MAX_SMALL = 2 ** 31

/** Bytes of a text; one with characters beyond Latin-1 takes twice as many. */
export function textBytes(text: string): number {
  return STRING_BYTES + text.length
}

/** Bytes of a plain value with all that it holds; what it shares with other values is counted in full. */
export function valueBytes(value: unknown): number {
  if (typeof value === 'string') return textBytes(value)
  if (typeof value === 'number') return Math.abs(value) < MAX_SMALL ? 0 : NUMBER_BYTES
  if (typeof value !== 'object' || value === null) return 0
  let sum = OBJECT_BYTES
  for (const key in value) sum += memberBytes(value[key as keyof typeof value])
  return sum
}

/** Bytes that an object takes up for one of its members. */
export function memberBytes(value: unknown): number {
  return SLOT_BYTES + valueBytes(value)
}
