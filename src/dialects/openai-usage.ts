// OpenAI's `usage` object, with two sets of names: chat and completions, and Responses.

import { isObject, type JsonValue } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import { countOf } from './fields.ts'

interface UsageNames {
  readonly prompt: string
  readonly completion: string
  readonly promptDetails: string
}

export const chatUsage: UsageNames = {
  prompt: 'prompt_tokens',
  completion: 'completion_tokens',
  promptDetails: 'prompt_tokens_details',
}

export const responsesUsage: UsageNames = {
  prompt: 'input_tokens',
  completion: 'output_tokens',
  promptDetails: 'input_tokens_details',
}

/** Reads token counts; undefined if the prompt's count is missing. `cachedTokens` is absent unless the upstream reports it. */
export function readOpenAiUsage(value: JsonValue | undefined, names: UsageNames): Usage | undefined {
  if (!isObject(value)) return undefined
  const promptTokens = countOf(value[names.prompt])
  if (promptTokens === undefined) return undefined
  const completionTokens = countOf(value[names.completion]) ?? 0
  const totalTokens = countOf(value.total_tokens) ?? promptTokens + completionTokens
  const details = value[names.promptDetails]
  const cachedTokens = isObject(details) ? countOf(details.cached_tokens) : undefined
  const usage = { promptTokens, completionTokens, totalTokens }
  return cachedTokens === undefined ? usage : { ...usage, cachedTokens }
}
