// The results of the index.

/** A piece of a window's text that can be read on its own: some paragraphs or sentences of one message. */
export interface Passage {
  /** About 1,000 characters, at most 1,200. */
  readonly text: string
  /** Index of its message in the window. */
  readonly message: number
}

export interface RankedWindow {
  /** The window's name. */
  readonly window: string
  readonly passage: Passage
  /** BM25 of the passage; higher is better. Only comparable within one answer. */
  readonly score: number
}
