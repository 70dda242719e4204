// A map that forgets its least recently used entries once their weight passes a bound.

export class Lru<Value> {
  readonly #entries = new Map<string, { value: Value; weight: number }>()
  readonly #capacity: number
  readonly #onEvict: (key: string, value: Value) => void
  #weight = 0

  constructor(capacity: number, onEvict: (key: string, value: Value) => void = () => {}) {
    this.#capacity = capacity
    this.#onEvict = onEvict
  }

  get size(): number {
    return this.#entries.size
  }

  get weight(): number {
    return this.#weight
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  /** The value, which becomes the newest. */
  get(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Adds or renews. What does not fit even into an empty map is not kept, and false is answered. */
  set(key: string, value: Value, weight = 1): boolean {
    if (weight > this.#capacity) return false
    this.#remove(key)
    this.#entries.set(key, { value, weight })
    this.#weight += weight
    for (const [oldest, entry] of this.#entries) {
      if (this.#weight <= this.#capacity) break
      this.#remove(oldest)
      this.#onEvict(oldest, entry.value)
    }
    return true
  }

  /** Whether there was something to delete. `onEvict` is not told: this is no eviction. */
  delete(key: string): boolean {
    return this.#remove(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#weight = 0
  }

  values(): Value[] {
    return [...this.#entries.values()].map((entry) => entry.value)
  }

  #remove(key: string): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    this.#weight -= entry.weight
    return this.#entries.delete(key)
  }
}
