// Which windows a question is about: an index over the text of windows, in memory only.

import type { WindowRecord } from '../base/records.ts'

/** A piece of a window's text that stands on its own: some paragraphs or sentences of one message. */
export interface Passage {
  /** About 1,000 characters, at most 2,000. */
  readonly text: string
  /** Index of its message in the window. */
  readonly message: number
}

export interface RankedWindow {
  /** The window's name. */
  readonly window: string
  readonly passage: Passage
  /** Higher is better. Only comparable within one answer. */
  readonly score: number
}

export interface PassageIndex {
  /**
   * The `count` frozen windows whose passages fit `query` best, best first; of equal ones, the one that comes first in `windows`. Leaves out
   * windows without any word of the query, and those deleted meanwhile. Throws `NOT_SUPPORTED` if the index is switched off,
   * `PASSAGES_TOO_LARGE` if the windows do not fit into it, `CLIENT_GONE` on abort, and what the store throws.
   */
  rank(
    tenant: string,
    windows: readonly WindowRecord[],
    query: string,
    count: number,
    signal: AbortSignal,
  ): Promise<RankedWindow[]>
  /**
   * The passage of one window that fits a text best. Null if no word of it occurs there, if the window is too large for the index, or if the
   * index is switched off. Throws `CLIENT_GONE` on abort, and what the store throws.
   */
  passageOf(tenant: string, window: WindowRecord, query: string, signal: AbortSignal): Promise<Passage | null>
}
