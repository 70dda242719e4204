// Shared by whole and streamed chat answers, and by completions.

import type { Generation, Prefill } from './engine.ts'
import type { ToolOffer } from './tool-offer.ts'
import { type Core, completionTokens, type Turn, toolCallsOf } from './turn.ts'

/** The fields that every part of an answer repeats. */
export interface Head {
  readonly id: string
  readonly created: number
  readonly model: string
}

/** Why a choice ended, as OpenAI's `finish_reason`. */
export function finishReason(generation: Generation, tools: ToolOffer): string {
  if (generation.ended === 'length') return 'length'
  // vLLM reports `stop` if the request demanded one specific tool (recorded).
  return toolCallsOf(generation).length > 0 && tools.named === undefined ? 'tool_calls' : 'stop'
}

/** `usage` of a whole answer. Chat includes the newly cached tokens; completions do not. */
export function wholeUsage(core: Core, turn: Turn, prefill: Prefill, created: number | null) {
  const details = { cached_tokens: prefill.cached, created_cache_tokens: created, multimodal_tokens: null }
  return {
    prompt_tokens: turn.ids.length,
    total_tokens: turn.ids.length + completionTokens(turn),
    completion_tokens: completionTokens(turn),
    prompt_tokens_details: core.settings.promptTokensDetails ? details : null,
    completion_tokens_details: null,
  }
}
