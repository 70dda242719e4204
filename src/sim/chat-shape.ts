// What whole and streamed chat answers, and completions, have in common.

import type { Generation, Prefill } from './engine.ts'
import type { ToolOffer } from './tool-offer.ts'
import { type Core, completionTokens, type Turn, toolCallsOf } from './turn.ts'

/** What stands in every part of one answer. */
export interface Head {
  readonly id: string
  readonly created: number
  readonly model: string
}

/** Why a choice ended, in OpenAI's words. */
export function finishReason(generation: Generation, tools: ToolOffer): string {
  if (generation.ended === 'length') return 'length'
  // vLLM calls it `stop` when one certain tool was demanded (recorded).
  return toolCallsOf(generation).length > 0 && tools.named === undefined ? 'tool_calls' : 'stop'
}

/** `usage` of a whole answer; chat tells what was newly cached, completions do not. */
export function wholeUsage(core: Core, turn: Turn, prefill: Prefill, created: number | null): unknown {
  const details = { cached_tokens: prefill.cached, created_cache_tokens: created, multimodal_tokens: null }
  return {
    prompt_tokens: turn.ids.length,
    total_tokens: turn.ids.length + completionTokens(turn),
    completion_tokens: completionTokens(turn),
    prompt_tokens_details: core.settings.promptTokensDetails ? details : null,
    completion_tokens_details: null,
  }
}
