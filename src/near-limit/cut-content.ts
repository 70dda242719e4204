// What is kept of a conversation before it is cut, so that nothing is lost: the last answered turn, whose KV there is, and as text
// whatever of the cut that turn did not hold.

import type { JsonValue } from '../base/json.ts'
import type { Prompt, Rollover } from '../base/records.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { digestOf } from '../limits/rollover.ts'
import type { RetainedPrompt } from '../store/store.ts'
import { isCutPoint, lastReplyAt } from '../windows/exchanges.ts'
import type { TurnPrompt } from '../windows/parts.ts'

export interface CutRequest {
  readonly rules: DialectRules
  /** The whole, as it would go out uncut. */
  readonly prompt: Prompt
  /** Indices of the messages that are left out, ascending. */
  readonly dropped: readonly number[]
  /** The session's last answered turn, if it is at hand. */
  readonly last: RetainedPrompt | undefined
  /** The cut before: what that one left out is in its window. */
  readonly before: Rollover | undefined
}

/** The content of the window before a cut. With `textFrom: 0` it is all text, because the last turn is not at hand, or is of another history. */
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
 * What is left out and came after the last answered turn; undefined when something is left out that neither that turn holds nor the window
 * of the cut before: the client has changed its history since.
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
  // Backwards, since what a cut keeps is the newest.
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

/** Messages that make the identity of a history. System prompts are never cut, and may hold a note of the last cut. */
function identified(messages: readonly JsonValue[], rules: DialectRules): readonly Identified[] {
  return messages.flatMap((message, index) => {
    const { text } = rules.canonical(message)
    return text === undefined || rules.isSystem(message) ? [] : [{ index, text }]
  })
}

/** The index behind the newest place that holds the turn's reply and what it answered; undefined where no place does. */
function endOfTurn(now: readonly Identified[], then: readonly Identified[], replyAt: number): number | undefined {
  const reply = then.filter(({ index }) => index >= replyAt).length
  const turn = then.slice(-(reply + 1))
  if (turn.length === 0) return undefined
  for (let end = now.length; end >= turn.length; end--) {
    if (turn.every(({ text }, i) => now[end - turn.length + i]?.text === text)) return (now[end - 1]?.index ?? 0) + 1
  }
  return undefined
}

/** Behind all that is left out, and if it can be behind the newest whole exchange, so that who takes it up again has all of it. */
function endOfWhole(messages: readonly JsonValue[], dropped: readonly number[], rules: DialectRules): number {
  const least = (dropped.at(-1) ?? -1) + 1
  for (let end = messages.length - 1; end > least; end--) {
    if (isCutPoint(messages, end, rules)) return end
  }
  return least
}
