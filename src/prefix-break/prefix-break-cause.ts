// Decides from the engine's own counts whether a turn was unexpectedly cold, and why. Conservative: a turn that is not certain to have been
// expected warm is not reported.

import { isObject, type JsonValue } from '../base/json.ts'
import type { BreakCause, PrefixBreak, Usage } from '../base/records.ts'
import { type ComparedTurn, compareTurns, type Difference, shareBefore } from './prefix-break.ts'
import { reasoningOf } from './prefix-break-fields.ts'

export type Explanation = Omit<PrefixBreak, 'at' | 'cachedTokens'>

export interface Circumstances {
  /** Of the last turn. */
  readonly before: Pick<Usage, 'promptTokens' | 'completionTokens'>
  readonly now: Usage
  /** The session was not found by its history, so only an edited message can be detected, and the engine has nothing cached for it. */
  readonly isNew: boolean
  /** The last turn had several answers. It is unknown which one the client continued, and how many tokens that had. */
  readonly several: boolean
}

/**
 * A turn counts as cold if more than these tokens, and more than this share of the expected ones, are missing. An engine caches whole blocks
 * (16 tokens on GPUs, 128 on CPUs) and LMCache restores whole chunks (256), so that much may be missing from a fully cached prompt. A template
 * may also write the last few tokens before a reply differently once the reply is there.
 */
const MIN_MISSING_TOKENS = 320
const MIN_MISSING_SHARE = 1 / 4
/** A prompt's part is estimated by bytes, and one language needs twice as many bytes per token as another. */
const ESTIMATE_FACTOR = 2
/** The last whole block of a prompt ends at most this far before its end. */
const BLOCK_TOKENS = 144
/** LMCache stores prompts only, not generated tokens. What it restores ends with a chunk. */
const CHUNK_TOKENS = 256

/** Tokens that the prompt should share with the last prompt and reply; at most its own size. */
export function expectedTokens({ before, now, several }: Omit<Circumstances, 'isNew'>): number {
  return Math.min(before.promptTokens + (several ? 0 : before.completionTokens), now.promptTokens)
}

/** Whether the number of cached tokens is suspiciously low. False if the engine does not report it. */
export function isCold(expected: number, cachedTokens: number | undefined): boolean {
  if (cachedTokens === undefined) return false
  const missing = expected - cachedTokens
  return missing > MIN_MISSING_TOKENS && missing > expected * MIN_MISSING_SHARE
}

/**
 * Why a turn was cold. Undefined if it was not, or if the client caused it deliberately: it went back, rewrote its last message, or changed the
 * subject.
 */
export function explainBreak(last: ComparedTurn, now: ComparedTurn, facts: Circumstances): Explanation | undefined {
  const { cachedTokens, promptTokens } = facts.now
  const whole = expectedTokens(facts)
  if (cachedTokens === undefined || !isCold(whole, cachedTokens)) return undefined
  const compared = compareTurns(last, now)
  const { difference, slight, forked } = compared
  if (!compared.related) return undefined
  if (facts.isNew) return isEdit(difference) && !forked ? explanationOf(difference, whole) : undefined
  if (difference !== undefined) {
    const shared = difference.share * facts.before.promptTokens
    if (isColdBefore(shared, cachedTokens)) return { cause: 'evicted', expectedTokens: Math.round(shared) }
    if (difference.cause === 'message' && (forked || (difference.inReply && facts.several))) return undefined
    return explanationOf(difference, whole)
  }
  // Only a request that continues the whole reply can have it cached.
  const prompt = Math.min(facts.before.promptTokens, promptTokens)
  const inPrompt = isCold(prompt, cachedTokens)
  const atReply = cachedTokens % CHUNK_TOKENS !== 0 && cachedTokens > facts.before.promptTokens - BLOCK_TOKENS
  if (slight !== undefined && isNear(slight, facts.before.promptTokens, cachedTokens)) {
    if (!slight.inReply || atReply) return explanationOf(slight, whole)
  }
  const shorter =
    compared.extends && !facts.several && promptTokens < facts.before.promptTokens + facts.before.completionTokens
  if (inPrompt) {
    const reasoned = last.prompt.messages.slice(0, last.replyAt).findIndex((sent) => reasoningOf(sent) !== undefined)
    const dropped =
      shorter && reasoned !== -1 && !isColdBefore(shareBefore(last, reasoned) * facts.before.promptTokens, cachedTokens)
    return dropped ? { cause: 'reply', expectedTokens: whole } : { cause: 'evicted', expectedTokens: prompt }
  }
  const odd = last.prompt.messages.slice(last.replyAt).some(isRenderedOtherwise)
  const byTemplate = shorter || (compared.extends && !facts.several && odd && atReply)
  return byTemplate ? { cause: 'reply', expectedTokens: whole } : undefined
}

function explanationOf({ cause, message, field, offset }: Difference, tokens: number): Explanation {
  return {
    cause,
    ...(message === undefined ? {} : { message }),
    ...(field === undefined ? {} : { field }),
    ...(offset === undefined ? {} : { offset }),
    expectedTokens: tokens,
  }
}

/** A history that differs at its first message is a different conversation. */
function isEdit(
  difference: Difference | undefined,
): difference is Difference & { cause: Extract<BreakCause, 'message'> } {
  return difference?.cause === 'message' && difference.message !== undefined && difference.message > 0
}

/** Whether far less is cached than precedes the difference, so that the difference is not the cause. */
function isColdBefore(shared: number, cachedTokens: number): boolean {
  return cachedTokens < shared / ESTIMATE_FACTOR - MIN_MISSING_TOKENS
}

/** Whether the cached part may have ended there. */
function isNear({ share }: Difference, promptTokens: number, cachedTokens: number): boolean {
  const shared = share * promptTokens
  return !isColdBefore(shared, cachedTokens) && cachedTokens <= shared * ESTIMATE_FACTOR + MIN_MISSING_TOKENS
}

/** Templates drop reasoning, trim text, and rewrite tool calls. */
function isRenderedOtherwise(message: JsonValue): boolean {
  if (reasoningOf(message) !== undefined) return true
  if (!isObject(message)) return false
  const { content, tool_calls: calls, type } = message
  if (type === 'function_call' || (Array.isArray(calls) && calls.length > 0)) return true
  const parts = Array.isArray(content) ? (content as readonly JsonValue[]) : [content]
  return parts.some((part) => {
    if (isObject(part) && part.type === 'tool_use') return true
    const text = isObject(part) ? part.text : part
    return typeof text === 'string' && text !== text.trim()
  })
}
