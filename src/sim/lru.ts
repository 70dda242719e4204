// A map that evicts its least recently used entries once their weight exceeds a bound.

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

  /** Returns the value and marks it as most recently used. */
  get(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Adds or replaces an entry. Returns false, and stores nothing, if it exceeds the whole capacity. */
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

  /** Deletes an entry; returns whether it existed. `onEvict` is not called, because this is no eviction. */
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
