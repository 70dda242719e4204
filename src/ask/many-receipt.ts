// The receipt of a question to many windows: sums of its windows' receipts.

import type { AnsweredWindow, BudgetReceipt, FailedWindow, ManyReceipt } from './many-question.ts'

export interface ManyResult {
  readonly answers: readonly AnsweredWindow[]
  readonly failed: readonly FailedWindow[]
  readonly parallel: number
  readonly ms: number
  readonly budget?: BudgetReceipt | undefined
  readonly reduction?: ManyReceipt['reduction'] | undefined
  readonly warnings?: readonly string[]
  readonly notes?: readonly string[]
}

/** The costs without a call of a model. */
export const noReduction = { model: null, rounds: 0, calls: 0, promptTokens: null, completionTokens: null } as const

export function receiptOf({ answers, failed, parallel, ms, ...rest }: ManyResult): ManyReceipt {
  const notFound = answers.filter(({ answer }) => answer === null).length
  return {
    windows: answers.length + failed.length,
    answered: answers.length - notFound,
    notFound,
    failed: failed.length,
    parallel,
    restoredTokens: sumOrNull(answers.map(({ receipt }) => receipt.restoredTokens)),
    computedTokens: sumOrNull(answers.map(({ receipt }) => receipt.computedTokens)),
    promptTokens: sumOrNull(answers.map(({ usage }) => usage?.promptTokens ?? null)),
    completionTokens: sumOrNull(answers.map(({ usage }) => usage?.completionTokens ?? null)),
    budget: rest.budget,
    reduction: rest.reduction ?? noReduction,
    ms,
    warnings: rest.warnings ?? [],
    notes: rest.notes ?? [],
  }
}

/** Null if one of the terms is: a part of a sum would look like a small whole. */
export function sumOrNull(terms: readonly (number | null)[]): number | null {
  let total = 0
  for (const term of terms) {
    if (term === null) return null
    total += term
  }
  return total
}
