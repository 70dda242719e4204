// What a receipt says in words, sorted by who has to do with it.

/** The lists of one receipt, while it is being made. */
export interface Remarks {
  /** What fell short or changed: an operator should look at it. */
  readonly warnings: string[]
  /** What is as it should be, and explains the figures. */
  readonly notes: string[]
}

export function emptyRemarks(): Remarks {
  return { warnings: [], notes: [] }
}
