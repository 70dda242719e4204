// The texts of a receipt, sorted by who needs to act on them.

/** The lists of a receipt in progress. */
export interface Remarks {
  /** What fell short or changed. An operator should look at these. */
  readonly warnings: string[]
  /** What is as expected, and explains the figures. */
  readonly notes: string[]
}

export function emptyRemarks(): Remarks {
  return { warnings: [], notes: [] }
}
