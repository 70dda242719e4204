// A map bounded in all and fair by sharer, such as a tenant: when it is full, it drops the least recently used entry of the sharer that
// holds most. So each sharer keeps an even share while others want theirs, and has all of it while nobody else does. An idle sharer does
// not want its share any longer: its entries go first. Decision 19 has the reasons.

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
  /** A sharer that was not used for so long is idle. */
  readonly idleMs: number
  /** Milliseconds. */
  readonly now: () => number
  /** Called for each entry that was deleted, dropped, or replaced. */
  readonly onLeave?: (entry: FairEntry<V>) => void
}

/** An entry of more than this part of the bound is only added if it fits beside what the others may keep. */
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
   * Adds an entry, or replaces the one under that key. Returns undefined for a large one that needs more
   * than the others leave: the entry before it is gone nevertheless, and no other one.
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

  /** The value, whose entry is now the most recently used of its sharer. */
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

  /** Sets the weight of an entry that `set` returned, and that has not left since. It must not be larger than before. */
  shrink(entry: FairEntry<V>, weight: number): void {
    const held = entry as Held<V>
    const less = held.weight - weight
    held.weight = weight
    held.share.weight -= less
    this.#weight -= less
    this.#settle(held.share)
  }

  /** Whether it is small, or fits if every other sharer keeps at most as much as this entry takes. */
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
    entry.share.weight -= entry.weight
    this.#weight -= entry.weight
    this.#options.onLeave?.(entry)
  }

  /** Puts a share where it belongs after a change; an empty one is forgotten. */
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
