// Compares loading a window's KV with computing it. cwm cannot make the engine compute what LMCache can load (LMCache 0.5.6 has no switch per
// request), so it only reports the difference.

export interface Comparison {
  /** How long the engine would have taken to compute the whole prompt, milliseconds. Null if its rate or the prompt's size is unknown. */
  readonly computeMs: number | null
  readonly notes: readonly string[]
}

/** Smaller loads are not worth a note. */
const MIN_RESTORED_TOKENS = 512
/** Both times include queueing, and the rate is of other prompts: only a clear difference is reported. */
const CLEARLY = 1.25
/** Milliseconds. Smaller differences are noise of the network and the engine's scheduler. */
const MIN_LOSS_MS = 200

/** The measured cost of one question. Null: the engine did not report it. */
export interface Measured {
  readonly restoredTokens: number | null
  readonly computedTokens: number | null
  readonly firstTokenMs: number | null
}

/** `rate`: measured tokens per second of this engine; undefined if there is no measurement. */
export function loadOrCompute(
  { restoredTokens, computedTokens, firstTokenMs }: Measured,
  rate: number | undefined,
): Comparison {
  if (rate === undefined || restoredTokens === null || computedTokens === null) return { computeMs: null, notes: [] }
  const tokens = restoredTokens + computedTokens
  const computeMs = Math.round((tokens / rate) * 1_000)
  if (firstTokenMs === null || restoredTokens < MIN_RESTORED_TOKENS) return { computeMs, notes: [] }
  const isSlower = firstTokenMs > Math.max(CLEARLY * computeMs, computeMs + MIN_LOSS_MS)
  if (!isSlower) return { computeMs, notes: [] }
  return {
    computeMs,
    notes: [
      `loading was slower than computing: the first text came after ${Math.round(firstTokenMs)} ms, and this engine computes ${tokens} tokens in about ${computeMs} ms (${Math.round(rate)} tokens/s, measured by cwm). Use faster storage behind LMCache, or give it more memory (L1)`,
    ],
  }
}
