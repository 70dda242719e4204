// The shapes of a chat completion that answers a question to windows: whole, and in chunks.

import { randomId } from '../base/ids.ts'
import type { JsonObject } from '../base/json.ts'

/** Sums over the windows and the reduction. */
export interface ChatUsage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** The part of the prompts that was restored; absent if the engine does not report it. */
  readonly cachedTokens?: number | undefined
}

/** What all chunks of one answer have in common. */
export interface AnswerHead {
  readonly id: string
  /** Seconds. */
  readonly created: number
  readonly model: string
}

export interface WholeAnswer {
  readonly text: string
  /** The progress lines; undefined if none are shown. */
  readonly reasoning: string | undefined
  readonly finishReason: string
  readonly usage: ChatUsage | undefined
}

/** `now`: milliseconds. */
export function newHead(model: string, now: number): AnswerHead {
  return { id: `chatcmpl-${randomId()}`, created: Math.floor(now / 1_000), model }
}

export function completionOf(head: AnswerHead, { text, reasoning, finishReason, usage }: WholeAnswer): JsonObject {
  const message = { role: 'assistant', content: text, ...(reasoning === undefined ? {} : { reasoning }) }
  return {
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason }],
    ...(usage === undefined ? {} : { usage: usageToWire(usage) }),
  }
}

/** A chunk with a piece of the answer, or, with a reason, its end. */
export function chunkOf(head: AnswerHead, delta: JsonObject, finishReason: string | null = null): JsonObject {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }]
  return { ...head, object: 'chat.completion.chunk', choices }
}

/** The chunk for clients that asked for the usage of a stream. */
export function usageChunkOf(head: AnswerHead, usage: ChatUsage): JsonObject {
  return { ...head, object: 'chat.completion.chunk', choices: [], usage: usageToWire(usage) }
}

function usageToWire({ promptTokens, completionTokens, cachedTokens }: ChatUsage): JsonObject {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(cachedTokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
  }
}
