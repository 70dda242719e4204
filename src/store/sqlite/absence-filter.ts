// Answers "certainly not stored" without asking SQLite: a Bloom filter over all keys of a table, in layers, so that it grows without a new scan.
// What is deleted stays in it, so an answer "maybe" is common after long, and a new scan then begins anew.

import { hashOf } from './key-hash.ts'

/** Of 16 bits a key with 6 probes, one answer in a thousand is wrongly "maybe". */
const BITS_PER_KEY = 16
const PROBES = 6
const FIRST_LAYER_KEYS = 65_536
const SLICE_ROWS = 500
const PAUSE_MS = 4

/** Where a row stands in the order of a scan. */
export type ScanPosition = readonly (string | number)[]

export interface ScannedKey {
  readonly key: string
  readonly position: ScanPosition
}

export interface AbsenceFilterOptions {
  /** Up to `atMost` keys behind a position, in order. What is stored while a scan runs must be given to `add`. */
  readonly scan: (after: ScanPosition | undefined, atMost: number) => readonly ScannedKey[]
  /** Two bytes each. With more than half as many live keys, the filter is off. */
  readonly maxKeys: number
}

/** Owns the timer of its scan; `close` ends it. */
export class AbsenceFilter {
  readonly #options: AbsenceFilterOptions
  /** Of every stored key; undefined until the first scan is over, and while the filter is off. */
  #complete: Layers | undefined
  #scanned: Layers | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: AbsenceFilterOptions) {
    this.#options = options
    this.#begin()
  }

  /** Never true for a key that is stored. */
  certainlyLacks(key: string): boolean {
    return this.#complete?.has(key) === false
  }

  /** Call in the transaction that stores the key, or before it. */
  add(key: string): void {
    this.#scanned?.add(key)
    if (this.#complete === undefined) return
    this.#complete.add(key)
    if (this.#scanned === undefined && this.#complete.keys >= this.#options.maxKeys) this.#begin()
  }

  /** Knows nothing from now on. */
  close(): void {
    clearTimeout(this.#timer)
    this.#complete = undefined
    this.#scanned = undefined
  }

  #begin(): void {
    this.#scanned = new Layers()
    this.#later(undefined)
  }

  #later(after: ScanPosition | undefined): void {
    this.#timer = setTimeout(() => this.#slice(after), PAUSE_MS)
    this.#timer.unref()
  }

  #slice(after: ScanPosition | undefined): void {
    const scanned = this.#scanned
    if (scanned === undefined) return
    let rows: readonly ScannedKey[]
    try {
      rows = this.#options.scan(after, SLICE_ROWS)
    } catch {
      this.close() // whoever reads the store next hears of it
      return
    }
    for (const { key } of rows) scanned.add(key)
    if (scanned.keys > this.#options.maxKeys / 2) this.close()
    else if (rows.length === SLICE_ROWS) this.#later(rows.at(-1)?.position)
    else {
      this.#complete = scanned
      this.#scanned = undefined
    }
  }
}

/** Bloom filters, each for twice as many keys as the one before. */
class Layers {
  readonly #layers: Uint32Array[] = []
  #room = 0
  /** Keys that were new to it when they were added. */
  keys = 0

  add(key: string): void {
    const [one, two] = hashesOf(key)
    if (this.#has(one, two)) return
    if (this.#room === 0) {
      this.#room = FIRST_LAYER_KEYS * 2 ** this.#layers.length
      this.#layers.push(new Uint32Array((this.#room * BITS_PER_KEY) / 32))
    }
    this.#room--
    this.keys++
    const layer = this.#layers.at(-1)
    if (layer === undefined) return
    const mask = layer.length * 32 - 1
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = (one + Math.imul(probe, two)) & mask
      layer[bit >>> 5] = (layer[bit >>> 5] ?? 0) | (1 << (bit & 31))
    }
  }

  has(key: string): boolean {
    return this.#has(...hashesOf(key))
  }

  #has(one: number, two: number): boolean {
    return this.#layers.some((layer) => holds(layer, one, two))
  }
}

function holds(layer: Uint32Array, one: number, two: number): boolean {
  const mask = layer.length * 32 - 1
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = (one + Math.imul(probe, two)) & mask
    if (((layer[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false
  }
  return true
}

/** The second is odd, so that its multiples differ. */
function hashesOf(key: string): readonly [number, number] {
  return [hashOf(key, 0), hashOf(key, 0x9e3779b1) | 1]
}
