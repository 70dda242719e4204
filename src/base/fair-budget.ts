// Divides a budget, such as of bytes or places in a queue, among sharers (`Caller.sharer`). Nobody can take it all, and no limit per sharer has to be set: the more is held,
// the less one of them may hold. These are the dynamic thresholds by which switches share buffers (Choudhury and Hahne, 1998).

export class FairBudget {
  readonly #max: number
  /** What each sharer holds, without those that hold nothing. */
  readonly #held = new Map<string, number>()
  #used = 0

  /** `max`: of all sharers together. */
  constructor(max: number) {
    this.#max = max
  }

  /** What all sharers hold. */
  get used(): number {
    return this.#used
  }

  /**
   * Changes what one item holds. Returns false, and changes nothing, if a larger one does not fit: the sharer must leave as much free as it
   * holds then. Only the sole item of all may take everything, so that the largest item always fits at some time.
   */
  change(sharer: string, from: number, to: number): boolean {
    const total = (this.#held.get(sharer) ?? 0) - from + to
    const free = this.#max - this.#used + from - to
    const isSole = this.#used === from
    if (to > from && (free < 0 || (!isSole && total > free))) return false
    this.#used += to - from
    if (total === 0) this.#held.delete(sharer)
    else this.#held.set(sharer, total)
    return true
  }
}
