// Removes the usage event that cwm itself requested from a stream, so that the client gets the bytes it would have got without the request.
// That event carries the fingerprint (docs/engine-behavior.md#stream-fingerprint). So the first event with a finish_reason, and all that
// follow, are held until the usage event, get its fingerprint, and are passed on in order. The usage event itself is dropped.

const FINISH = Buffer.from('"finish_reason"')
const CHOICES = Buffer.from('"choices"')
const USAGE = Buffer.from('"usage"')
const FINGERPRINT = Buffer.from('"system_fingerprint"')
const COLON = 0x3a
const OPEN = 0x5b
const CLOSE = 0x5d
const OPEN_OBJECT = 0x7b
const END_OBJECT = 0x7d
const NULL = 0x6e

/** Offset of the value after `key` (quotes included) in `bytes`, searched from `from`; -1 if the key is not found. */
function valueAfter(bytes: Buffer, key: Buffer, from: number): number {
  // Quotes inside a JSON string are escaped, so `"key"` followed by a colon can only be a member's name.
  for (let at = bytes.indexOf(key, from); at !== -1; at = bytes.indexOf(key, at + 1)) {
    const colon = skipSpace(bytes, at + key.length)
    if (bytes[colon] === COLON) return skipSpace(bytes, colon + 1)
  }
  return -1
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at++
  return at
}

function hasFinishReason(event: Buffer): boolean {
  for (let at = valueAfter(event, FINISH, 0); at !== -1; at = valueAfter(event, FINISH, at)) {
    if (event[at] !== NULL) return true
  }
  return false
}

/** The event with `choices: []`, which contains only usage. Other events without choices have `usage: null`. */
function isUsageEvent(event: Buffer): boolean {
  const choices = valueAfter(event, CHOICES, 0)
  if (choices === -1 || event[choices] !== OPEN) return false
  if (event[skipSpace(event, choices + 1)] !== CLOSE) return false
  const usage = valueAfter(event, USAGE, 0)
  return usage !== -1 && event[usage] === OPEN_OBJECT
}

/** The fingerprint member's raw bytes, `"system_fingerprint":"…"`; undefined if the event has none, or null. */
function fingerprintMember(event: Buffer): Buffer | undefined {
  const value = valueAfter(event, FINGERPRINT, 0)
  if (value === -1 || event[value] !== 0x22) return undefined
  const end = event.indexOf(0x22, value + 1)
  return end === -1 ? undefined : event.subarray(event.indexOf(FINGERPRINT), end + 1)
}

function withMember(event: Buffer, member: Buffer): Buffer {
  const end = event.lastIndexOf(END_OBJECT)
  if (end === -1 || valueAfter(event, FINGERPRINT, 0) !== -1) return event
  return Buffer.concat([event.subarray(0, end), Buffer.from(','), member, event.subarray(end)])
}

/** Holds the end of one stream until its usage event arrives. Feed it whole events, in order. */
export class UsageHold {
  readonly #maxHeldBytes: number
  #held: Buffer[] | undefined
  #heldBytes = 0
  #done = false

  /**
   * `maxHeldBytes` limits the held events (with `n` > 1 the other choices continue after the first that finished); beyond it all of them
   * are released.
   */
  constructor(maxHeldBytes: number) {
    this.#maxHeldBytes = maxHeldBytes
  }

  /** Whether events are held, so that nothing may overtake them. */
  get holds(): boolean {
    return this.#held !== undefined
  }

  /** The events that may be sent to the client after `event`. */
  push(event: Buffer): readonly Buffer[] {
    if (isUsageEvent(event)) return this.#release(fingerprintMember(event))
    if (this.#done) return [event]
    if (this.#held === undefined) {
      if (!hasFinishReason(event)) return [event]
      this.#held = []
    }
    this.#held.push(event)
    this.#heldBytes += event.length
    if (this.#heldBytes > this.#maxHeldBytes || isDone(event)) return this.#release(undefined)
    return []
  }

  /** The events still held when the stream ends without a usage event. */
  flush(): readonly Buffer[] {
    return this.#release(undefined)
  }

  #release(fingerprint: Buffer | undefined): readonly Buffer[] {
    const held = this.#held ?? []
    this.#held = undefined
    this.#done = true
    if (fingerprint === undefined) return held
    return held.map((event) => (hasFinishReason(event) ? withMember(event, fingerprint) : event))
  }
}

function isDone(event: Buffer): boolean {
  return event.includes('[DONE]') && /^data: ?\[DONE\]/m.test(event.toString('latin1'))
}
