// A map with a bound over all entries, fair by sharer (a tenant, for example): when it is full, it drops the least recently used entry of the
// sharer that holds the most. So each sharer keeps an even share while others want theirs, and can use everything while nobody else does.
// Entries of idle sharers are dropped first. Reasons: docs/decisions/0019.

import { type Share, ShareHeap } from './share-heap.ts'

/** An entry as the map holds it. */
export interface FairEntry<V> {
  readonly key: string
  readonly value: V
  readonly weight: number
}

interface Held<V> extends FairEntry<V> {
  readonly share: Holding<V>
  weight: number
  older: Held<V> | undefined
  newer: Held<V> | undefined
}

interface Holding<V> extends Share {
  readonly sharer: string
  oldest: Held<V> | undefined
  newest: Held<V> | undefined
}

export interface FairMapOptions<V> {
  /** Of all entries together. */
  readonly maxWeight: number
  /** A sharer whose entries were not used for this long is idle, milliseconds. */
  readonly idleMs: number
  /** The time, milliseconds. */
  readonly now: () => number
  /** Called for each entry that was deleted, dropped, or replaced. */
  readonly onLeave?: (entry: FairEntry<V>) => void
}

/** An entry larger than this part of the bound may only displace entries of sharers that hold more than its size. */
export const LARGE_SHARE = 1 / 16

export class FairMap<V> {
  readonly #options: FairMapOptions<V>
  readonly #entries = new Map<string, Held<V>>()
  readonly #shares = new Map<string, Holding<V>>()
  readonly #heap = new ShareHeap<Holding<V>>()
  #weight = 0
  #gains = 0

  constructor(options: FairMapOptions<V>) {
    this.#options = options
  }

  /** Of all entries together. */
  get weight(): number {
    return this.#weight
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * Adds an entry, or replaces the one under that key. Returns undefined if a large entry does not fit (`LARGE_SHARE`). Then only the
   * previous entry under that key is dropped.
   */
  set(sharer: string, key: string, value: V, weight: number): FairEntry<V> | undefined {
    let before = this.#entries.get(key)
    if (before !== undefined && before.share.sharer !== sharer) {
      this.#remove(before)
      before = undefined
    }
    const share = before?.share ?? this.#shares.get(sharer) ?? newShare<V>(sharer)
    if (before !== undefined) this.#unlink(before)
    if (!this.#fits(share, weight)) {
      if (before !== undefined) this.#entries.delete(key)
      this.#settle(share)
      return undefined
    }
    const entry: Held<V> = { key, value, weight, share, older: undefined, newer: undefined }
    this.#entries.set(key, entry)
    this.#append(entry)
    share.weight += weight
    share.gainedAt = ++this.#gains
    share.usedAt = this.#options.now()
    this.#weight += weight
    this.#settle(share)
    while (this.#weight > this.#options.maxWeight) this.#dropOne(entry)
    return entry
  }

  /** Returns the value, and makes its entry the most recently used of its sharer. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    entry.share.usedAt = this.#options.now()
    if (entry.newer !== undefined) {
      this.#detach(entry)
      this.#append(entry)
    }
    return entry.value
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#remove(entry)
  }

  /** Lowers the weight of an entry that `set` returned. The entry must still be in the map. */
  shrink(entry: FairEntry<V>, weight: number): void {
    const held = entry as Held<V>
    const less = held.weight - weight
    held.weight = weight
    held.share.weight -= less
    this.#weight -= less
    this.#settle(held.share)
  }

  /** Whether it is small, or fits once every other sharer is cut down to the weight of this entry. */
  #fits(share: Holding<V>, weight: number): boolean {
    const { maxWeight } = this.#options
    const free = maxWeight - this.#weight
    if (weight <= free || weight <= LARGE_SHARE * maxWeight) return true
    return weight <= maxWeight && this.#heap.exceed(weight, weight - free - share.weight, share)
  }

  #dropOne(added: Held<V>): void {
    const { idleMs, now } = this.#options
    const share = this.#heap.findIdle(now() - idleMs) ?? this.#heap.largest
    const oldest = share?.oldest === added ? this.#heap.second?.oldest : share?.oldest
    if (oldest !== undefined) this.#remove(oldest)
  }

  #remove(entry: Held<V>): void {
    this.#entries.delete(entry.key)
    this.#unlink(entry)
    this.#settle(entry.share)
  }

  #unlink(entry: Held<V>): void {
    this.#detach(entry)
    // Otherwise an entry that has left keeps all that left after it from being collected young, with their values.
    entry.older = undefined
    entry.newer = undefined
    entry.share.weight -= entry.weight
    this.#weight -= entry.weight
    this.#options.onLeave?.(entry)
  }

  /** Updates the heap after a change of a share, and drops an empty share. */
  #settle(share: Holding<V>): void {
    if (share.oldest !== undefined) {
      if (share.place < 0) this.#shares.set(share.sharer, share)
      this.#heap.update(share)
    } else if (share.place >= 0) {
      this.#shares.delete(share.sharer)
      this.#heap.remove(share)
    }
  }

  #append(entry: Held<V>): void {
    const { share } = entry
    entry.older = share.newest
    entry.newer = undefined
    if (share.newest === undefined) share.oldest = entry
    else share.newest.newer = entry
    share.newest = entry
  }

  #detach({ share, older, newer }: Held<V>): void {
    if (older === undefined) share.oldest = newer
    else older.newer = newer
    if (newer === undefined) share.newest = older
    else newer.older = older
  }
}

function newShare<V>(sharer: string): Holding<V> {
  return { sharer, weight: 0, gainedAt: 0, usedAt: 0, place: -1, oldest: undefined, newest: undefined }
}
