// What is counted of requests for the ledger: a list of numbers per tenant, key and model, and how two such lists are merged.

/** A list of counts. Positions are stored, so new ones are added at the end. */
export type UsageCounts = readonly number[]

/** The position of each count. The first is the greatest of its terms, all others are sums. */
export const countAt = {
  /** Longest wait of a request for a slot, milliseconds. */
  longestQueueMs: 0,
  /** Requests that ended with an answer, whether a success or an error. */
  requests: 1,
  /** Those of them with an error. */
  errors: 2,
  /** Requests whose client left before the end of the answer. Their tokens are unknown. */
  aborted: 3,
  /** Requests whose usage was read. */
  metered: 4,
  promptTokens: 5,
  completionTokens: 6,
  /** Of the metered requests, those whose cached part the engine reported. */
  cacheReported: 7,
  cachedTokens: 8,
  computedTokens: 9,
  /** Warm calls of thaws, and questions to windows, whose cached part the engine reported. */
  restores: 10,
  restoredTokens: 11,
  /** Computed by the warm calls of freezes and thaws. No request's prompt contains them. */
  warmedTokens: 12,
  /** First turns of sessions that began like another session of their tenant. */
  repeats: 13,
  /** Their estimated tokens of that beginning, as far as they were computed. */
  repeatedTokens: 14,
  /** Sum of the times to the first byte, milliseconds. */
  firstTokenMs: 15,
} as const

/** Upper bounds of the times to the first byte, milliseconds. One more bucket has no bound. */
export const firstTokenBounds = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000] as const
/** The position of the first bucket. Buckets are not cumulative. */
export const firstTokenAt = 16

const LENGTH = firstTokenAt + firstTokenBounds.length + 1

export function noCounts(): number[] {
  return new Array<number>(LENGTH).fill(0)
}

/** Adds `more` to `counts`. */
export function addCounts(counts: number[], more: UsageCounts): void {
  counts[0] = Math.max(counts[0] ?? 0, more[0] ?? 0)
  for (let n = 1; n < more.length; n++) counts[n] = (counts[n] ?? 0) + (more[n] ?? 0)
}

/** Counts one time to the first byte, milliseconds. */
export function addFirstToken(counts: number[], ms: number): void {
  const over = firstTokenBounds.findIndex((bound) => ms <= bound)
  const bucket = firstTokenAt + (over < 0 ? firstTokenBounds.length : over)
  counts[bucket] = (counts[bucket] ?? 0) + 1
  counts[countAt.firstTokenMs] = (counts[countAt.firstTokenMs] ?? 0) + ms
}
