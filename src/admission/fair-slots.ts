// A fixed number of slots, with a queue per sharer. The queues are served round-robin, and a full queue displaces the newest of the longest
// one. Errors, time limits and clients are left to admission.ts and background.ts. p-queue and p-limit do not fit: they have a single
// queue, allocate a promise even when nothing waits, and keep the place of a caller who has left.

/** A caller that waits for a slot. */
export interface Waiter {
  /** Called when it gets a slot, which it must release. */
  readonly admit: () => void
  /** Called when it loses its place in the queue to a sharer with fewer waiting callers. */
  readonly displace: () => void
}

/** What one sharer holds and waits for. A sharer is a tenant, or the client address behind several (`Caller.sharer`). */
export interface Line {
  readonly sharer: string
  /** Maximum slots that it may hold. */
  bound: number
  held: number
  /** Oldest first. */
  readonly waiting: Set<Waiter>
}

export class FairSlots {
  #slots: number
  #maxWaiting: number
  /** One per sharer that holds a slot or waits for one. */
  readonly #lines = new Map<string, Line>()
  /** Lines whose first waiter could start if a slot were free, in round-robin order. */
  readonly #ready = new Set<Line>()
  #held = 0
  #waiting = 0

  /** At most `slots` are held at once, and at most `maxWaiting` callers wait, over all sharers. */
  constructor(slots: number, maxWaiting: number) {
    this.#slots = slots
    this.#maxWaiting = maxWaiting
  }

  /** Changes both bounds. Callers beyond a lower bound keep their slots and places. */
  resize(slots: number, maxWaiting: number): void {
    this.#slots = slots
    this.#maxWaiting = maxWaiting
    this.#admitReady()
  }

  get held(): number {
    return this.#held
  }

  get waiting(): number {
    return this.#waiting
  }

  /** The line of a sharer. A changed bound applies from now on. */
  lineOf(sharer: string, bound: number): Line {
    const known = this.#lines.get(sharer)
    if (known === undefined) {
      const line = { sharer, bound, held: 0, waiting: new Set<Waiter>() }
      this.#lines.set(sharer, line)
      return line
    }
    if (known.bound !== bound) {
      known.bound = bound
      this.#update(known)
      this.#admitReady()
    }
    return known
  }

  /** Takes a slot if one is free for this sharer. */
  tryAcquire(line: Line): boolean {
    if (this.#held >= this.#slots || line.held >= line.bound) return false
    this.#take(line)
    return true
  }

  /** Whether `wait` would accept one more of this sharer. */
  hasRoom(line: Line): boolean {
    return this.#waiting < this.#maxWaiting || this.#longest(line).waiting.size > line.waiting.size + 1
  }

  /** Joins the queue. Returns false, without joining, if the queue is full and this sharer's own line is the longest. */
  wait(line: Line, waiter: Waiter): boolean {
    if (this.#waiting >= this.#maxWaiting && !this.#makeRoom(line)) return false
    line.waiting.add(waiter)
    this.#waiting++
    this.#update(line)
    return true
  }

  /** Leaves the queue. Returns whether the waiter was in it. */
  leave(line: Line, waiter: Waiter): boolean {
    if (!line.waiting.delete(waiter)) return false
    this.#waiting--
    this.#update(line)
    return true
  }

  release(line: Line): void {
    line.held--
    this.#held--
    this.#update(line)
    this.#admitReady()
  }

  /** Forgets the line if it was created for a caller that neither got a slot nor waits. */
  forget(line: Line): void {
    this.#update(line)
  }

  #take(line: Line): void {
    line.held++
    this.#held++
  }

  #admitReady(): void {
    for (const line of this.#ready) {
      const [waiter] = line.waiting
      if (waiter === undefined || this.#held >= this.#slots) return
      this.#take(line)
      // `leave` adds it again at the end, behind all others.
      this.#ready.delete(line)
      this.leave(line, waiter)
      waiter.admit()
    }
  }

  /** Updates `#ready` after a change to a line, and drops the line once it is empty and holds nothing. */
  #update(line: Line): void {
    if (line.waiting.size > 0 && line.held < line.bound) this.#ready.add(line)
    else this.#ready.delete(line)
    if (line.held === 0 && line.waiting.size === 0) this.#lines.delete(line.sharer)
  }

  /** Displaces the newest waiter of the longest line, so that a sharer that floods cwm only displaces its own work. */
  #makeRoom(line: Line): boolean {
    const longest = this.#longest(line)
    if (longest.waiting.size <= line.waiting.size + 1) return false
    const newest = [...longest.waiting].at(-1)
    if (newest === undefined || !this.leave(longest, newest)) return false
    newest.displace()
    return true
  }

  #longest(line: Line): Line {
    let longest = line
    for (const other of this.#lines.values()) if (other.waiting.size > longest.waiting.size) longest = other
    return longest
  }
}
