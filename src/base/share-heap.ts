// A binary heap of sharers, ordered by what they hold. Each share knows its index, so that a change moves it in O(log n).

/** What one sharer holds. Changed by its owner, who then calls {@link ShareHeap.update}. */
export interface Share {
  weight: number
  /** A counter over all shares, taken at each gain. Among equal shares, the one whose last gain is older comes first. */
  gainedAt: number
  /** When it was last used, milliseconds. */
  usedAt: number
  /** Its index in the heap; -1 outside it. */
  place: number
}

export class ShareHeap<S extends Share> {
  readonly #shares: S[] = []
  #hand = 0

  get size(): number {
    return this.#shares.length
  }

  /** The share that holds the most. */
  get largest(): S | undefined {
    return this.#shares[0]
  }

  /** The share that holds the second most. */
  get second(): S | undefined {
    const [, left, right] = this.#shares
    return left !== undefined && right !== undefined && isBefore(right, left) ? right : left
  }

  /** Checks two shares per call, in turn, and returns the first of them that was last used before `time`. */
  findIdle(time: number): S | undefined {
    for (let looked = 0; looked < 2; looked++) {
      this.#hand = this.#hand + 1 < this.#shares.length ? this.#hand + 1 : 0
      const share = this.#shares[this.#hand]
      if (share !== undefined && share.usedAt < time) return share
    }
    return undefined
  }

  /** Moves a share to its place after a change; adds it if it is not in the heap. */
  update(share: S): void {
    if (share.place < 0) share.place = this.#shares.push(share) - 1
    this.#rise(share)
    this.#sink(share)
  }

  remove(share: S): void {
    const last = this.#shares.pop()
    if (last === undefined || last === share) {
      share.place = -1
      return
    }
    last.place = share.place
    this.#shares[last.place] = last
    share.place = -1
    this.update(last)
  }

  /**
   * Whether the parts of all shares above `limit`, without `except`, sum up to at least `enough`. Visits only shares above the limit. `except`
   * may have shrunk since its last update.
   */
  exceed(limit: number, enough: number, except: S): boolean {
    let missing = enough
    const visit = (place: number): void => {
      const share = this.#shares[place]
      if (missing <= 0 || share === undefined) return
      if (share !== except) {
        if (share.weight <= limit) return
        missing -= share.weight - limit
      }
      visit(2 * place + 1)
      visit(2 * place + 2)
    }
    visit(0)
    return missing <= 0
  }

  #rise(share: S): void {
    while (share.place > 0) {
      const parent = this.#shares[(share.place - 1) >> 1]
      if (parent === undefined || !isBefore(share, parent)) return
      this.#swap(share, parent)
    }
  }

  #sink(share: S): void {
    for (;;) {
      const left = this.#shares[2 * share.place + 1]
      const right = this.#shares[2 * share.place + 2]
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left
      if (child === undefined || !isBefore(child, share)) return
      this.#swap(child, share)
    }
  }

  #swap(a: S, b: S): void {
    const place = a.place
    a.place = b.place
    b.place = place
    this.#shares[a.place] = a
    this.#shares[b.place] = b
  }
}

function isBefore(a: Share, b: Share): boolean {
  return a.weight > b.weight || (a.weight === b.weight && a.gainedAt < b.gainedAt)
}
