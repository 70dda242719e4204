// Stage one of server-sent events: finds where events end. Bytes in, offsets out; nothing is decoded or copied.

const LF = 0x0a
const CR = 0x0d

/**
 * Offset just after the first event that ends at or after `from`, or -1 if no event ends in `bytes`. An event ends with an empty line
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). Lines end with LF or CRLF, or all with CR. The
 * standard allows CR and LF in one stream, but no server sends that.
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

/** As `endOfEvent`, for bytes without CR. Engines send none, so the platform's search can be used. */
export function endOfEventByLf(bytes: Buffer, from: number): number {
  for (let lf = bytes.indexOf(LF, from); lf !== -1; lf = bytes.indexOf(LF, lf + 1)) {
    if (bytes[lf + 1] === LF) return lf + 2
  }
  return -1
}

/** Offset just after the last complete event in `bytes`; 0 if there is none. */
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
 * Splits a stream of byte chunks at event boundaries: its output always ends at the end of an event, and the rest is held back. So an error
 * event can be added at a boundary if the stream breaks. An event longer than `maxHeldBytes` is passed on incomplete.
 */
export class EventFramer {
  readonly #maxHeldBytes: number
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(maxHeldBytes: number) {
    this.#maxHeldBytes = maxHeldBytes
  }

  /** Bytes of an incomplete event. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * The complete events that `chunk` finishes, in order; empty if none ended. No event is split between two parts, because readers look for
   * complete events in each part. Only an event that is longer than `maxHeldBytes` is split.
   */
  push(chunk: Buffer): readonly Buffer[] {
    if (this.#heldBytes === 0) {
      const end = endOfLastEvent(chunk)
      if (end === chunk.length) return [chunk]
      this.#hold(chunk.subarray(end))
      return end === 0 ? this.#overflow() : [chunk.subarray(0, end), ...this.#overflow()]
    }
    // The blank line may be split between two byte chunks, so the last held bytes are searched again.
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

  /** Returns and discards the bytes of an incomplete event. */
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
