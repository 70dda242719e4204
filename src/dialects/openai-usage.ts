// OpenAI's `usage` object, as chat completions and completions carry it.

import { isObject, type JsonValue } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import { countOf } from './dialect.ts'

/** Reads token counts; undefined when the prompt's is missing. `cachedTokens` is absent unless the upstream reports it. */
export function readOpenAiUsage(value: JsonValue | undefined): Usage | undefined {
  if (!isObject(value)) return undefined
  const promptTokens = countOf(value.prompt_tokens)
  if (promptTokens === undefined) return undefined
  const completionTokens = countOf(value.completion_tokens) ?? 0
  const totalTokens = countOf(value.total_tokens) ?? promptTokens + completionTokens
  const details = value.prompt_tokens_details
  const cachedTokens = isObject(details) ? countOf(details.cached_tokens) : undefined
  const usage = { promptTokens, completionTokens, totalTokens }
  return cachedTokens === undefined ? usage : { ...usage, cachedTokens }
}
