// Divides a budget, for example of bytes, among sharers (`Caller.sharer`), without a limit per sharer: each may hold at most as much as is then
// left free. Packet switches share buffers by such dynamic thresholds (Choudhury and Hahne, 1998).

export class FairBudget {
  readonly #max: number
  /** What each sharer holds, without those that hold nothing. */
  readonly #held = new Map<string, number>()
  #used = 0

  /** `max`: for all sharers together. */
  constructor(max: number) {
    this.#max = max
  }

  /** What all sharers hold. */
  get used(): number {
    return this.#used
  }

  /**
   * Changes what one item holds. Returns false, and changes nothing, if the sharer would then hold more than is left free. An item that is the
   * only one may take everything. Otherwise the largest item might never fit.
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
