// Measured needs of cwm itself. Each number cites the page with its measurement.

/** Bytes in the store: docs/operating.md, "How large the store is" (`npm run bench:sizes`). */
export interface StoreSizes {
  readonly perSession: number
  /** Each turn of a session adds a boundary, by which its history is found again. */
  readonly perTurn: number
  readonly perWindow: number
  /** Of a window: its text and its token ids. */
  readonly perWindowToken: number
}

export const storeSizes = {
  sqlite: { perSession: 570, perTurn: 300, perWindow: 1_600, perWindowToken: 8.2 },
  redis: { perSession: 1_150, perTurn: 460, perWindow: 2_550, perWindowToken: 8.2 },
} as const satisfies Record<string, StoreSizes>

/** English text in a chat body. */
export const TEXT_BYTES_PER_TOKEN = 4

/**
 * CPU of one core for a turn whose session is found by its history: a line through 345 µs at 4 KB and 6,707 µs at 512 KB (docs/performance.md,
 * "cwm, by prefix", 4k-32 and 512k-4), and 12.4 µs for each event of a stream (stream-16).
 */
export const turnCpu = { fixedMicros: 295, microsPerKilobyte: 12.5, microsPerEvent: 12.4 } as const

/** Planned share of a core per proxy: beyond it, answers are delayed. */
export const CORE_SHARE = 0.5
