// Which rows may have a key, in 12 bytes per slot: a hash and the row's number. Different keys may have the same hash, so the caller must
// check the row.

const PARTS = 256
const LEAST_SLOTS = 16

/**
 * Open addressing with linear probing. Split into parts, because a part is copied at once when it grows, and copying a large table would
 * block the event loop.
 */
export class KeyTable {
  #parts = newParts()
  #size = 0

  /** The number of keys. */
  get size(): number {
    return this.#size
  }

  /** `row` must be above 0. */
  add(hash: number, row: number): void {
    this.#partOf(hash).add(hash, row)
    this.#size++
  }

  /** Removes a key that was added. */
  delete(hash: number, row: number): void {
    if (this.#partOf(hash).delete(hash, row)) this.#size--
  }

  find(hash: number): readonly number[] {
    return this.#partOf(hash).find(hash)
  }

  clear(): void {
    this.#parts = newParts()
    this.#size = 0
  }

  #partOf(hash: number): Part {
    const part = this.#parts[hash >>> 24]
    if (part === undefined) throw new RangeError(`${hash} is not a 32-bit hash`)
    return part
  }
}

function newParts(): readonly Part[] {
  return Array.from({ length: PARTS }, () => new Part())
}

const NONE: readonly number[] = []

class Part {
  #hashes = new Uint32Array(LEAST_SLOTS)
  /** 0: the slot is free. */
  #rows = new Float64Array(LEAST_SLOTS)
  #used = 0

  add(hash: number, row: number): void {
    if (this.#used * 4 >= this.#rows.length * 3) this.#grow()
    let slot = hash & (this.#rows.length - 1)
    while (this.#rows[slot] !== 0) slot = this.#after(slot)
    this.#hashes[slot] = hash
    this.#rows[slot] = row
    this.#used++
  }

  find(hash: number): readonly number[] {
    let found: number[] | undefined
    for (let slot = hash & (this.#rows.length - 1); this.#rows[slot] !== 0; slot = this.#after(slot)) {
      if (this.#hashes[slot] !== hash) continue
      found ??= []
      found.push(this.#rows[slot] ?? 0)
    }
    return found ?? NONE
  }

  delete(hash: number, row: number): boolean {
    let slot = hash & (this.#rows.length - 1)
    while (this.#rows[slot] !== row || this.#hashes[slot] !== hash) {
      if (this.#rows[slot] === 0) return false
      slot = this.#after(slot)
    }
    this.#rows[slot] = 0
    this.#used--
    // Entries after a free slot would not be found, so they are inserted again.
    for (let next = this.#after(slot); this.#rows[next] !== 0; next = this.#after(next)) {
      const [moved, to] = [this.#hashes[next] ?? 0, this.#rows[next] ?? 0]
      this.#rows[next] = 0
      this.#used--
      this.add(moved, to)
    }
    return true
  }

  #after(slot: number): number {
    return (slot + 1) & (this.#rows.length - 1)
  }

  #grow(): void {
    const [hashes, rows] = [this.#hashes, this.#rows]
    this.#hashes = new Uint32Array(rows.length * 2)
    this.#rows = new Float64Array(rows.length * 2)
    this.#used = 0
    for (const [slot, row] of rows.entries()) if (row !== 0) this.add(hashes[slot] ?? 0, row)
  }
}
