// What a turn is expected to compute, for its rate limit: estimated from its texts and from what its session's last turn left cached. The
// engine's own counts settle it, so no tokenizer is asked.

import type { JsonObject, JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { countOf } from '../dialects/fields.ts'
import { estimatedTokens, MEDIA_TOKENS } from '../limits/estimated-tokens.ts'
import { outputReserve } from '../limits/output-reserve.ts'
import { typicalTokens } from '../limits/typical.ts'
import { typicalTokensOfShaping } from '../limits/typical-messages.ts'
import type { Cut, OutgoingPrompt } from '../near-limit/outgoing.ts'
import type { RateNeed } from '../rate-limits/rate-charge.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import type { FoundSession } from './find-session.ts'

export interface TurnToRate {
  readonly json: JsonObject
  readonly rules: DialectRules
  readonly found: FoundSession
  /** The window that stands before it. `isThawed`: from this turn on. */
  readonly base: BaseWindow | undefined
  readonly isThawed: boolean
  /** Undefined for a continuation of a stored response. */
  readonly outgoing: OutgoingPrompt | undefined
  readonly cut: Cut | undefined
  /** The model's context limit; undefined if unknown. */
  readonly limit: number | undefined
}

/** What a turn is expected to compute. */
export function turnNeed(turn: TurnToRate): RateNeed {
  const { json, rules, limit } = turn
  const answer = outputReserve(rules.maxTokens(json), limit ?? Number.POSITIVE_INFINITY)
  const prompts = rules.messagesField === undefined ? barePrompts(json.prompt) : undefined
  const answers = Math.max(1, prompts?.length ?? 1) * choicesOf(json)
  return { ...(prompts === undefined ? promptOf(turn) : barePrompt(prompts, turn)), answer: answer * answers }
}

/** What a request without a session is expected to compute: everything in its body, because nothing of it is cached. */
export function statelessNeed(json: JsonObject): RateNeed {
  const { model: _, ...body } = json
  const wanted = countOf(json.max_completion_tokens) ?? countOf(json.max_tokens)
  const conversations = Array.isArray(json.messages) && Array.isArray(json.messages[0]) ? json.messages.length : 1
  // Of those without a bound only a batch of chats is answered at length. The engine's count settles the others.
  const answers = wanted !== undefined || conversations > 1 ? conversations * choicesOf(json) : 0
  const answer = answers === 0 ? 0 : answers * outputReserve(wanted, Number.POSITIVE_INFINITY)
  return { prompt: tokensIn(body), cached: 0, answer }
}

function promptOf(turn: TurnToRate): Omit<RateNeed, 'answer'> {
  const { json, rules, found, base, isThawed, outgoing, cut } = turn
  const { usage, rollover } = found.session.record
  const own = rules.readMessages(json)
  const left = usage === undefined ? undefined : (usage.contextTokens ?? usage.totalTokens)
  if (outgoing === undefined) return { cached: left ?? 0, prompt: sum(own) }
  const { messages, shaping, before, skip } = outgoing
  if (cut !== undefined && cut.digest !== rollover?.cut) {
    const kept = cut.keep.flatMap((i) => messages[i] ?? [])
    return { cached: 0, prompt: typicalTokensOfShaping(shaping) + sum(kept) }
  }
  // The last reply and all before it went through the engine, if it is a reply of this session. The client's word is taken for it: if it is
  // wrong, the usage says so.
  const lastReply = own.findLastIndex((message) => rules.isFromModel(message))
  const isContinued = found.found !== 'new' && left !== undefined && lastReply >= skip && !isThawed
  if (isContinued) return { cached: left, prompt: sum(own.slice(lastReply + 1)) }
  if (before > 0 && base !== undefined) return { cached: base.tokenIds.length, prompt: sum(messages.slice(before)) }
  return { cached: 0, prompt: typicalTokensOfShaping(shaping) + sum(messages) }
}

/** Completions resend the whole text. */
function barePrompt(prompts: readonly JsonValue[], { found }: TurnToRate): Omit<RateNeed, 'answer'> {
  let tokens = 0
  for (const prompt of prompts) tokens += Array.isArray(prompt) ? prompt.length : tokensIn(prompt)
  const cached = Math.min(tokens, found.session.record.usage?.totalTokens ?? 0)
  return { cached, prompt: tokens - cached }
}

/** The forms of `prompt` that vLLM accepts: a text, its ids, or a list of either. */
function barePrompts(prompt: JsonValue | undefined): readonly JsonValue[] {
  if (!Array.isArray(prompt)) return prompt === undefined ? [] : [prompt]
  return typeof prompt[0] === 'number' ? [prompt] : (prompt as readonly JsonValue[])
}

function choicesOf({ n }: JsonObject): number {
  return typeof n === 'number' && n > 1 ? n : 1
}

function sum(messages: readonly JsonValue[]): number {
  let tokens = 0
  for (const message of messages) tokens += estimatedTokens(message)
  return tokens
}

/** Tokens of all texts and token ids in a value. */
function tokensIn(value: JsonValue | undefined): number {
  if (typeof value === 'string') return value.startsWith('data:') ? MEDIA_TOKENS : typicalTokens(value)
  if (typeof value === 'number') return 1
  if (typeof value !== 'object' || value === null) return 0
  let tokens = 0
  for (const inner of Array.isArray(value) ? value : Object.values(value)) tokens += tokensIn(inner)
  return tokens
}
