// How much of the context a turn uses: its prompt and one answer. The engine's usage counts all choices of a turn together
// (docs/engine-behavior.md#usage-of-several).

import type { Usage } from '../base/records.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { FinishedAnswer } from './truncation.ts'

/**
 * Tokens of the prompt and of the longest of several choices. A choice that ran out of allowed tokens has that length. If all stopped on
 * their own, their lengths are unknown, and only the prompt is counted.
 */
export function contextTokens(
  { choices, maxTokens, limit }: Omit<FinishedAnswer, 'usage'>,
  { promptTokens, completionTokens, totalTokens }: Usage,
  { cutReason }: Pick<DialectRules, 'cutReason'>,
): number {
  if (choices.length < 2) return totalTokens
  if (!choices.some(({ finishReason }) => finishReason === cutReason)) return promptTokens
  const room = limit === undefined ? completionTokens : limit - promptTokens
  // Each of the other choices has at least one token.
  const most = Math.min(maxTokens ?? room, room, completionTokens - choices.length + 1)
  return promptTokens + Math.max(0, most)
}
