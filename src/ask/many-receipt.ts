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

const noReduction = { model: null, rounds: 0, calls: 0, promptTokens: null, completionTokens: null } as const

/** A sum is null if one of its terms is: a part of it would look like a small whole. */
export function receiptOf({ answers, failed, parallel, ms, ...rest }: ManyResult): ManyReceipt {
  const notFound = answers.filter(({ answer }) => answer === null).length
  return {
    windows: answers.length + failed.length,
    answered: answers.length - notFound,
    notFound,
    failed: failed.length,
    parallel,
    restoredTokens: sum(answers.map(({ receipt }) => receipt.restoredTokens)),
    computedTokens: sum(answers.map(({ receipt }) => receipt.computedTokens)),
    promptTokens: sum(answers.map(({ usage }) => usage?.promptTokens ?? null)),
    completionTokens: sum(answers.map(({ usage }) => usage?.completionTokens ?? null)),
    budget: rest.budget,
    reduction: rest.reduction ?? noReduction,
    ms,
    warnings: rest.warnings ?? [],
    notes: rest.notes ?? [],
  }
}

function sum(terms: readonly (number | null)[]): number | null {
  let total = 0
  for (const term of terms) {
    if (term === null) return null
    total += term
  }
  return total
}
