// How much of the context a turn takes: its prompt and one answer. The engine's usage counts all choices of a turn in one sum
// (docs/engine-behavior.md#usage-of-several).

import type { Usage } from '../base/records.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { FinishedAnswer } from './truncation.ts'

/**
 * Tokens of the prompt and of the longest of several choices. A choice that ran out of the tokens it was allowed has as many as these;
 * where all ended by themselves nobody tells how long each is, and the prompt alone is counted.
 */
export function contextTokens(
  { choices, maxTokens, limit }: Omit<FinishedAnswer, 'usage'>,
  { promptTokens, completionTokens, totalTokens }: Usage,
  { cutReason }: Pick<DialectRules, 'cutReason'>,
): number {
  if (choices.length < 2) return totalTokens
  if (!choices.some(({ finishReason }) => finishReason === cutReason)) return promptTokens
  const room = limit === undefined ? completionTokens : limit - promptTokens
  // The others have a token each at least.
  const most = Math.min(maxTokens ?? room, room, completionTokens - choices.length + 1)
  return promptTokens + Math.max(0, most)
}
