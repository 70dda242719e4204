// The content that is frozen before a conversation is cut, so that nothing is lost: the last answered turn, whose KV exists, and as text
// any cut messages which that turn did not contain.

import type { JsonValue } from '../base/json.ts'
import type { Prompt, Rollover } from '../base/records.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { digestOf } from '../limits/rollover.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import { isCutPoint, lastReplyAt } from '../windows/exchanges.ts'
import type { TurnPrompt } from '../windows/parts.ts'

export interface CutRequest {
  readonly rules: DialectRules
  /** The whole prompt, as it would be sent uncut. */
  readonly prompt: Prompt
  /** Indices of the cut messages, ascending. */
  readonly dropped: readonly number[]
  /** The session's last answered turn, if available. */
  readonly last: RetainedPrompt | undefined
  /** The previous cut; what it removed is in its window. */
  readonly before: Rollover | undefined
}

/** The content of the window before a cut. `textFrom: 0` means all text, because the last turn is unavailable or has another history. */
export function contentBeforeCut(request: CutRequest): TurnPrompt {
  const { last, prompt, dropped, rules } = request
  const since = last === undefined ? undefined : messagesSince(last, request)
  if (last !== undefined && since !== undefined) {
    const messages = [...last.prompt.messages, ...since]
    return {
      prompt: { ...last.prompt, messages },
      replyAt: last.replyAt,
      promptTokens: last.promptTokens,
      ...(since.length === 0 ? {} : { textFrom: last.prompt.messages.length }),
    }
  }
  const messages = prompt.messages.slice(0, endOfWhole(prompt.messages, dropped, rules))
  return {
    prompt: { ...prompt, messages },
    replyAt: lastReplyAt({ messages }, rules),
    promptTokens: undefined,
    textFrom: 0,
  }
}

/**
 * The cut messages that came after the last answered turn. Undefined if a cut message is in neither that turn nor the previous cut's window,
 * because the client changed its history.
 */
function messagesSince(
  last: RetainedPrompt,
  { prompt, dropped, rules, before }: CutRequest,
): readonly JsonValue[] | undefined {
  const now = identified(prompt.messages, rules)
  const then = identified(last.prompt.messages, rules)
  const end = endOfTurn(now, then, last.replyAt)
  if (end === undefined) return undefined
  const held = new Set<number>()
  let known = then.length - 1
  // Matches backward, because a cut keeps the newest messages.
  for (const { index, text } of now.toReversed()) {
    if (index >= end || text !== then[known]?.text) continue
    held.add(index)
    known--
  }
  const identifies = new Set(now.map(({ index }) => index))
  const newest = dropped.findLast((index) => index < end && identifies.has(index) && !held.has(index))
  if (newest !== undefined) {
    const elsewhere = dropped.filter((index) => index <= newest && !held.has(index))
    if (digestOf(at(prompt.messages, elsewhere), rules) !== before?.cut) return undefined
  }
  return at(
    prompt.messages,
    dropped.filter((index) => index >= end),
  )
}

function at(messages: readonly JsonValue[], indices: readonly number[]): readonly JsonValue[] {
  return indices.flatMap((index) => messages[index] ?? [])
}

interface Identified {
  readonly index: number
  readonly text: string
}

/** The messages that identify a history. System prompts are excluded: they are never cut, and may contain the note of the last cut. */
function identified(messages: readonly JsonValue[], rules: DialectRules): readonly Identified[] {
  return messages.flatMap((message, index) => {
    const { text } = rules.canonical(message)
    return text === undefined || rules.isSystem(message) ? [] : [{ index, text }]
  })
}

/** The index after the newest occurrence of the turn's reply and the message it answered; undefined if there is none. */
function endOfTurn(now: readonly Identified[], then: readonly Identified[], replyAt: number): number | undefined {
  const reply = then.filter(({ index }) => index >= replyAt).length
  const turn = then.slice(-(reply + 1))
  if (turn.length === 0) return undefined
  for (let end = now.length; end >= turn.length; end--) {
    if (turn.every(({ text }, i) => now[end - turn.length + i]?.text === text)) return (now[end - 1]?.index ?? 0) + 1
  }
  return undefined
}

/** The index after everything that is cut, and if possible after the newest complete exchange, so that the window can be continued. */
function endOfWhole(messages: readonly JsonValue[], dropped: readonly number[], rules: DialectRules): number {
  const least = (dropped.at(-1) ?? -1) + 1
  for (let end = messages.length - 1; end > least; end--) {
    if (isCutPoint(messages, end, rules)) return end
  }
  return least
}
