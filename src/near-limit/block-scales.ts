// Compares the engine's tokenizer with the local estimate, block by block of a history. Blocks are cut from the front, so a longer history
// starts with the blocks of a shorter one. Each message is scaled by the previous block's factor, so earlier decisions never change. The
// cache is local to this process; factors depend only on messages and engine, so any process computes the same ones.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { JsonValue } from '../base/json.ts'
import { ENTRY_BYTES, textBytes } from '../sessions/heap-size.ts'

export interface BlockRequest {
  readonly messages: readonly JsonValue[]
  /** Estimated tokens per block: few enough that the first block is complete before anything is cut. */
  readonly blockTokens: number
  /** The estimate of one message; must depend only on the message. */
  readonly estimate: (message: JsonValue) => number
  /** A key that identifies the block and the model. */
  readonly keyOf: (block: readonly JsonValue[]) => string
  /** The engine's count of a block's words relative to their estimate; undefined if the engine cannot count it. */
  readonly ratioOf: (block: readonly JsonValue[]) => Promise<number | undefined>
}

/** Bytes of all cached blocks, about 200 each. */
const MAX_BYTES = 4 * 1024 * 1024
/** Texts of one conversation vary, so the next block may have slightly more than the last. */
const MARGIN = 1.05
/** Factors are rounded up to sixteenths, within these bounds. */
const STEPS = 16
const MIN_FACTOR = 0.5
const MAX_FACTOR = 8
/** Marks a block that the engine cannot count, and how long it is not asked again: it may be restarted with a tokenizer endpoint. */
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

  /** The factor for each message's estimate. Throws what counting throws; nothing is cached then, and the next call counts again. */
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
      const known = this.#known.get(key) ?? this.#remember(key, factorOf(await ratioOf(block)))
      const own = known === UNKNOWN ? (last ?? 1) : known
      // The first block has no predecessor and uses its own factor. It is complete before anything can be cut.
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
