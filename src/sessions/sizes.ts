// Sizes that the engine has counted: of the prompt behind each delivered history, and of the smallest prompt of each model, which holds
// whatever its template writes before all else. In this process alone: whoever does not find one here asks the engine.

import { LRUCache } from 'lru-cache'
import { PREAMBLE_TOKENS } from '../context/size.ts'
import { ENTRY_BYTES, textBytes, valueBytes } from './weights.ts'

/** The prompt of a delivered turn with its reply. */
export interface KnownSize {
  /** No later prompt has more tokens of it. */
  readonly tokens: number
  /** What else the prompt was made of: model, what stands beside the messages, and where they were cut. */
  readonly shape: string
}

/** A template writes no more than this before all else. */
const MAX_PREAMBLE = 4096
/** For the smallest prompts, by model. */
const MODELS_BYTES = 1024 * 1024

export class KnownSizes {
  readonly #histories: LRUCache<string, KnownSize>
  readonly #smallest = new LRUCache<string, number>({
    maxSize: MODELS_BYTES,
    sizeCalculation: (_tokens, key) => ENTRY_BYTES + textBytes(key),
  })

  /** `maxBytes`: of all histories, about 250 bytes each. */
  constructor(maxBytes: number) {
    this.#histories = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (size, boundary) => ENTRY_BYTES + textBytes(boundary) + valueBytes(size),
    })
  }

  /** The sizes are those of histories that end with this reply, under all the boundaries by which they are found again. */
  note(boundaries: readonly string[], size: KnownSize): void {
    for (const boundary of boundaries) this.#histories.set(boundary, size)
  }

  find(boundary: string): KnownSize | undefined {
    return this.#histories.get(boundary)
  }

  /** The engine has counted a whole prompt. */
  notePrompt(model: string, hasTools: boolean, promptTokens: number): void {
    const key = keyOf(model, hasTools)
    const known = this.#smallest.get(key)
    if (known === undefined || promptTokens < known) this.#smallest.set(key, promptTokens)
  }

  /** Tokens at most that the template writes beside the messages; with tools it may write more. */
  preambleOf(model: string, hasTools: boolean): number {
    return Math.min(this.#smallest.get(keyOf(model, hasTools)) ?? PREAMBLE_TOKENS, MAX_PREAMBLE)
  }
}

function keyOf(model: string, hasTools: boolean): string {
  return JSON.stringify([model, hasTools])
}
