// Answers that the context limit cut. They look like finished ones: docs/engine-behavior.md#context-limit.

import type { Usage } from '../base/records.ts'
import type { Choice, DialectRules } from '../dialects/dialect.ts'

export interface FinishedAnswer {
  readonly choices: readonly Choice[]
  readonly usage: Usage | undefined
  /** What the client asked for at most; undefined when it set no bound. */
  readonly maxTokens: number | undefined
  /** The engine's own limit, tokens; undefined when it does not tell. */
  readonly limit: number | undefined
}

/** Whether the limit ended an answer that was allowed to be longer. False where usage or limit are not known. */
export function isTruncated(
  { choices, usage, maxTokens, limit }: FinishedAnswer,
  { cutReason }: Pick<DialectRules, 'cutReason'>,
): boolean {
  if (usage === undefined || limit === undefined) return false
  if (!choices.some(({ finishReason }) => finishReason === cutReason)) return false
  // `totalTokens` counts all choices, so with several of them it is the second condition that tells.
  return usage.totalTokens >= limit && (maxTokens === undefined || usage.promptTokens + maxTokens > limit)
}
