// Detects answers that the context limit truncated. They look complete: docs/engine-behavior.md#context-limit.

import type { Usage } from '../base/records.ts'
import type { Choice, DialectRules } from '../dialects/dialect.ts'

export interface FinishedAnswer {
  readonly choices: readonly Choice[]
  readonly usage: Usage | undefined
  /** The client's bound; undefined if it set none. */
  readonly maxTokens: number | undefined
  /** The engine's own limit, tokens; undefined if it reports none. */
  readonly limit: number | undefined
}

/** Whether the limit ended an answer that was allowed to be longer. False if usage or limit is unknown. */
export function isTruncated(
  { choices, usage, maxTokens, limit }: FinishedAnswer,
  { cutReason }: Pick<DialectRules, 'cutReason'>,
): boolean {
  if (usage === undefined || limit === undefined) return false
  if (!choices.some(({ finishReason }) => finishReason === cutReason)) return false
  // `totalTokens` counts all choices, so for several choices the second condition decides.
  return usage.totalTokens >= limit && (maxTokens === undefined || usage.promptTokens + maxTokens > limit)
}
