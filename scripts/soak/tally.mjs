// Counts outcomes and faults. The first few faults are kept as text.

const SHOWN = 10

export class Tally {
  #counts = new Map()
  #wrong = 0
  #shown = []

  /** `fault`: a description of what was wrong, if anything. */
  count(name, fault) {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
    if (fault === undefined) return
    this.#wrong++
    if (this.#shown.length < SHOWN) this.#shown.push(`${name}: ${fault}`)
  }

  get total() {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  get wrong() {
    return this.#wrong
  }

  get shown() {
    return this.#shown
  }

  /** Names with their counts, most frequent first. */
  get counts() {
    return [...this.#counts].sort(([, a], [, b]) => b - a)
  }
}
