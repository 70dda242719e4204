// How an engine's tokenizer counts a history, block by block, beside the local estimate. Blocks are cut from the front, so a longer history
// has those of a shorter one, and each message is sized by the block before its own: what was decided of it once stays decided. In this
// process alone, but a pure function of messages and engine: whoever has forgotten asks again and hears the same.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { JsonValue } from '../base/json.ts'
import { ENTRY_BYTES, textBytes } from '../sessions/weights.ts'

export interface BlockRequest {
  readonly messages: readonly JsonValue[]
  /** Estimated tokens that make a block: few enough that the first is complete before anything is cut. */
  readonly blockTokens: number
  /** The estimate of one message; must depend on nothing but the message. */
  readonly estimate: (message: JsonValue) => number
  /** What tells one block from another, the model included. */
  readonly keyOf: (block: readonly JsonValue[]) => string
  /** The engine's own count of a block's words, as a multiple of their estimate; undefined where it has none. */
  readonly ratioOf: (block: readonly JsonValue[]) => Promise<number | undefined>
}

/** Of all blocks, about 200 each. */
const MAX_BYTES = 4 * 1024 * 1024
/** Texts of one conversation differ: a little more than the last block had. */
const MARGIN = 1.05
/** Factors are rounded up to sixteenths, within these. */
const STEPS = 16
const MIN_FACTOR = 0.5
const MAX_FACTOR = 8
/** The engine has no way to count such a block; for how long it is not asked again, since it may be restarted with one. */
const UNKNOWN = 0
const UNKNOWN_MS = 60_000

export class BlockScales {
  readonly #known: LRUCache<string, number>

  constructor(now: Now) {
    this.#known = new LRUCache({
      maxSize: MAX_BYTES,
      sizeCalculation: (_factor, key) => ENTRY_BYTES + textBytes(key),
      perf: { now },
      ttlResolution: 0,
    })
  }

  /** By how much each message's estimate is to be multiplied. Throws what counting throws: then nothing is decided, and the next call asks again. */
  async of({ messages, blockTokens, estimate, keyOf, ratioOf }: BlockRequest): Promise<readonly number[]> {
    const factors: number[] = []
    let last: number | undefined
    let start = 0
    let tokens = 0
    for (const [i, message] of messages.entries()) {
      tokens += estimate(message)
      if (tokens < blockTokens) continue
      const block = messages.slice(start, i + 1)
      const key = keyOf(block)
      const told = this.#known.get(key) ?? this.#remember(key, factorOf(await ratioOf(block)))
      const own = told === UNKNOWN ? (last ?? 1) : told
      // The first has none before it. It must be complete before anything can be cut.
      while (factors.length <= i) factors.push(last ?? own)
      last = own
      start = i + 1
      tokens = 0
    }
    while (factors.length < messages.length) factors.push(last ?? 1)
    return factors
  }

  #remember(key: string, factor: number): number {
    this.#known.set(key, factor, factor === UNKNOWN ? { ttl: UNKNOWN_MS } : {})
    return factor
  }
}

function factorOf(ratio: number | undefined): number {
  if (ratio === undefined) return UNKNOWN
  return Math.min(MAX_FACTOR, Math.max(MIN_FACTOR, Math.ceil(ratio * MARGIN * STEPS) / STEPS))
}
