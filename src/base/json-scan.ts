// Counts the values in JSON bytes without creating them. The text may be invalid; it is counted up to its first error, as a parser would
// read it.

import { setImmediate as nextRound } from 'node:timers/promises'

export const QUOTE = 0x22
const BACKSLASH = 0x5c
export const OPEN_OBJECT = 0x7b
export const CLOSE_OBJECT = 0x7d
export const OPEN_LIST = 0x5b
export const CLOSE_LIST = 0x5d
export const COMMA = 0x2c
const COLON = 0x3a
/** The last of the characters between values. */
const SPACE = 0x20

/** Most strings are shorter, and a native search costs as much as comparing this many bytes. */
const LOOK_BYTES = 24
/** Counting one slice exactly takes a few milliseconds. */
const SLICE_BYTES = 1024 * 1024

/** Offset just after the string whose opening quote is at `from`; the length of the bytes if the string never ends. */
export function endOfString(bytes: Buffer, from: number): number {
  let at = from + 1
  while (at < bytes.length) {
    for (const look = Math.min(bytes.length, at + LOOK_BYTES); at < look; at++) {
      const c = bytes[at]
      if (c === QUOTE) return at + 1
      if (c === BACKSLASH) at++
    }
    if (at >= bytes.length) break
    const quote = bytes.indexOf(QUOTE, at)
    if (quote === -1) break
    let slashes = 0
    while (quote - slashes > at && bytes[quote - 1 - slashes] === BACKSLASH) slashes++
    at = quote + 1
    if (slashes % 2 === 0) return at
  }
  return bytes.length
}

/** How often a byte occurs; stops at `most` + 1. */
export function countByte(bytes: Buffer, byte: number, most: number): number {
  let count = 0
  for (let at = bytes.indexOf(byte); at !== -1; at = bytes.indexOf(byte, at + 1)) {
    count++
    if (count > most) return count
  }
  return count
}

export interface ScanBounds {
  /** Objects, lists and strings, keys included. */
  readonly maxValues: number
  /** Numbers, true, false, and null. */
  readonly maxScalars: number
  /** Members of one object. */
  readonly maxMembers: number
  /** Levels of nested objects and lists. */
  readonly maxDepth: number
}

/** The limit that a text exceeds. */
export type Exceeded = 'values' | 'scalars' | 'members' | 'depth'

/** Counts exactly, one slice per iteration of the event loop. Stops as soon as a limit is exceeded. */
export async function scanJson(bytes: Buffer, bounds: ScanBounds): Promise<Exceeded | undefined> {
  const scan = new Scan(bytes, bounds)
  while (!scan.next()) await nextRound()
  return scan.exceeded
}

class Scan {
  readonly #bytes: Buffer
  readonly #bounds: ScanBounds
  /** By depth: the members of an object so far, or -1 for a list. */
  readonly #open: Int32Array
  #at = 0
  #depth = 0
  #values = 0
  #scalars = 0
  /** The last byte belonged to a scalar, which may continue in this slice. */
  #inScalar = false
  exceeded: Exceeded | undefined

  constructor(bytes: Buffer, bounds: ScanBounds) {
    this.#bytes = bytes
    this.#bounds = bounds
    this.#open = new Int32Array(bounds.maxDepth + 2)
    // Top level: there is no object whose members to count.
    this.#open[0] = -1
  }

  /** Counts a slice; returns whether it was the last. */
  next(): boolean {
    const bytes = this.#bytes
    const end = Math.min(bytes.length, this.#at + SLICE_BYTES)
    let at = this.#at
    while (at < end && this.exceeded === undefined) {
      const c = bytes[at]
      const continues = this.#inScalar
      this.#inScalar = false
      if (c === QUOTE) {
        this.#count()
        at = endOfString(bytes, at)
        continue
      }
      if (c === COMMA) this.#comma()
      else if (c === OPEN_OBJECT || c === OPEN_LIST) this.#begin(c === OPEN_OBJECT)
      else if (c === CLOSE_OBJECT || c === CLOSE_LIST) {
        if (this.#depth > 0) this.#depth--
      } else if (c !== undefined && c > SPACE && c !== COLON) this.#scalar(continues)
      at++
    }
    this.#at = at
    return at >= bytes.length || this.exceeded !== undefined
  }

  #count(): void {
    this.#values++
    if (this.#values > this.#bounds.maxValues) this.exceeded = 'values'
  }

  #scalar(continues: boolean): void {
    this.#inScalar = true
    if (continues) return
    this.#scalars++
    if (this.#scalars > this.#bounds.maxScalars) this.exceeded = 'scalars'
  }

  #begin(isObject: boolean): void {
    this.#count()
    this.#depth++
    this.#open[this.#depth] = isObject ? 1 : -1
    if (this.#depth > this.#bounds.maxDepth) this.exceeded = 'depth'
  }

  #comma(): void {
    const members = this.#open[this.#depth] ?? -1
    if (members === -1) return
    this.#open[this.#depth] = members + 1
    if (members + 1 > this.#bounds.maxMembers) this.exceeded = 'members'
  }
}
