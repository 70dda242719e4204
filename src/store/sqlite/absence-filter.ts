// Answers "certainly not stored" without a query: a Bloom filter over all keys of a table, in layers, so that it grows without a new scan.
// Deleted keys stay in it, so it answers "maybe" more and more often, until a new scan rebuilds it.

import { hashOf } from './key-hash.ts'

/** With 16 bits per key and 6 probes, one answer in a thousand is wrongly "maybe". */
const BITS_PER_KEY = 16
const PROBES = 6
const FIRST_LAYER_KEYS = 65_536
const SLICE_ROWS = 500
const PAUSE_MS = 4

/** A row's position in the order of a scan. */
export type ScanPosition = readonly (string | number)[]

export interface ScannedKey {
  readonly key: string
  readonly position: ScanPosition
}

export interface AbsenceFilterOptions {
  /** Up to `atMost` keys after a position, in order. Keys stored during a scan must be passed to `add`. */
  readonly scan: (after: ScanPosition | undefined, atMost: number) => readonly ScannedKey[]
  /** Two bytes each. With more than half as many live keys, the filter is disabled. */
  readonly maxKeys: number
}

/** Owns the timer of its scan; `close` ends it. */
export class AbsenceFilter {
  readonly #options: AbsenceFilterOptions
  /** Contains every stored key; undefined until the first scan has finished, and while the filter is disabled. */
  #complete: Layers | undefined
  #scanned: Layers | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: AbsenceFilterOptions) {
    this.#options = options
    this.#begin()
  }

  /** Never true for a stored key. */
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

  /** Disables the filter permanently. */
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
      this.close() // the next read of the store reports the error
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

/** Bloom filters, each for twice as many keys as the previous one. */
class Layers {
  readonly #layers: Uint32Array[] = []
  #room = 0
  /** Keys that were not in it when they were added. */
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
