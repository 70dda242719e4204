// Seeded random numbers, for scripts whose runs must be repeatable.

/** A generator of numbers between 0 and 1, deterministic for a seed (mulberry32). */
export function randomFrom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Draws values of different kinds from a generator. */
export class Draw {
  #random

  constructor(seed) {
    this.#random = randomFrom(seed)
    // Neighboring seeds start with similar values, so the first ones are skipped.
    for (let n = 0; n < 4; n++) this.#random()
  }

  /** True with this probability. */
  chance(probability) {
    return this.#random() < probability
  }

  /** A whole number from 0 to `count` - 1. */
  below(count) {
    return Math.floor(this.#random() * count)
  }

  /** A whole number from `least` to `most`, inclusive. */
  between(least, most) {
    return least + this.below(most - least + 1)
  }

  pick(list) {
    return list[this.below(list.length)]
  }

  /** A value from a list of `[weight, value]`, chosen by weight. */
  weighted(pairs) {
    let left = this.#random() * pairs.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, value] of pairs) {
      left -= weight
      if (left < 0) return value
    }
    return pairs.at(-1)[1]
  }
}
