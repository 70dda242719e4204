// Stage one of server-sent events: where an event ends. Bytes in, byte counts out; nothing is decoded or copied.

const LF = 0x0a
const CR = 0x0d

/**
 * Offset just after the first event that ends at or after `from`, or -1 when no event ends in `bytes`.
 * An event ends with an empty line (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream);
 * lines end with LF or CRLF, or all with CR: that one stands beside LF in the same stream the standard allows, and nobody sends.
 */
export function endOfEvent(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    const c = bytes[at]
    const next = bytes[at + 1]
    if (c === LF && next === LF) return at + 2
    if ((c === LF || c === CR) && next === CR) {
      if (bytes[at + 2] === LF) return at + 3
      if (c === CR) return at + 2
    }
  }
  return -1
}

/** As `endOfEvent`, for bytes in which there is no CR: engines send none, and the search is then the platform's. */
export function endOfEventByLf(bytes: Buffer, from: number): number {
  for (let lf = bytes.indexOf(LF, from); lf !== -1; lf = bytes.indexOf(LF, lf + 1)) {
    if (bytes[lf + 1] === LF) return lf + 2
  }
  return -1
}

/** Offset just after the last whole event in `bytes`; 0 when there is none. */
export function endOfLastEvent(bytes: Buffer): number {
  let last = 0
  for (let lf = bytes.lastIndexOf(LF); lf > 0; lf = bytes.lastIndexOf(LF, lf - 1)) {
    const before = bytes[lf - 1]
    if (before === LF || (before === CR && bytes[lf - 2] === LF)) {
      last = lf + 1
      break
    }
  }
  if (last === bytes.length || !bytes.includes(CR, last)) return last
  for (let end = endOfEvent(bytes, last); end !== -1; end = endOfEvent(bytes, last)) last = end
  return last
}

/**
 * Cuts a stream of byte chunks at event boundaries: what it answers always ends where an event ends, the rest waits inside.
 * So a stream that breaks can be told about at a boundary. An event longer than `maxHeldBytes` is let through unfinished.
 */
export class EventFramer {
  readonly #maxHeldBytes: number
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(maxHeldBytes: number) {
    this.#maxHeldBytes = maxHeldBytes
  }

  /** Bytes that wait for the end of their event. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * The whole events that `chunk` completes, in order; empty when none ended. No event is cut between two parts, since what reads
   * them looks for events in each; only one that is longer than may be held comes in pieces.
   */
  push(chunk: Buffer): readonly Buffer[] {
    if (this.#heldBytes === 0) {
      const end = endOfLastEvent(chunk)
      if (end === chunk.length) return [chunk]
      this.#hold(chunk.subarray(end))
      return end === 0 ? this.#overflow() : [chunk.subarray(0, end), ...this.#overflow()]
    }
    // The blank line itself may be cut between two byte chunks, so the last bytes held are looked at again.
    const seam = Buffer.concat([...this.#lastHeldBytes(3), chunk])
    const end = endOfLastEvent(seam) - (seam.length - chunk.length)
    if (end <= 0) {
      this.#hold(chunk)
      return this.#overflow()
    }
    const whole = Buffer.concat([...this.#held, chunk.subarray(0, end)])
    this.#clear()
    this.#hold(chunk.subarray(end))
    return [whole, ...this.#overflow()]
  }

  /** The bytes of an unfinished event, which are then forgotten. */
  takeRest(): readonly Buffer[] {
    const rest = this.#held
    this.#clear()
    return rest
  }

  #lastHeldBytes(count: number): Buffer[] {
    const parts: Buffer[] = []
    let missing = count
    for (let i = this.#held.length - 1; i >= 0 && missing > 0; i--) {
      const part = this.#held[i]
      if (part === undefined) break
      const tail = part.subarray(Math.max(0, part.length - missing))
      parts.unshift(tail)
      missing -= tail.length
    }
    return parts
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
  }

  #overflow(): readonly Buffer[] {
    return this.#heldBytes > this.#maxHeldBytes ? this.takeRest() : []
  }

  #clear(): void {
    this.#held = []
    this.#heldBytes = 0
  }
}
