// What cwm tells of a turn beside its text: restored tokens, cuts, breaks.

import type { SessionJson } from '../../wire/sessions.ts'
import { count, inline } from '../terminal/text.ts'
import { formatPrefixBreak } from '../windows-text.ts'
import type { TurnAnswer } from './turn.ts'

/** A line for each thing that the user should know of the turn, in order. */
export function turnNotices(
  answer: TurnAnswer,
  before: SessionJson | undefined,
  after: SessionJson | undefined,
): string[] {
  const { headers, finish } = answer
  const lines: string[] = []
  const restored = headers.get('x-cwm-restored')
  if (restored !== null)
    lines.push(`restored ${count(Number(restored))} tokens of window ${inline(headers.get('x-cwm-window') ?? '')}`)
  const degraded = headers.get('x-cwm-degraded')
  if (degraded !== null) lines.push(`degraded: ${inline(degraded)} did not answer; this turn was isolated and cold`)
  if (after?.truncation !== undefined) {
    lines.push(`the answer was cut: the context of ${count(after.truncation.limit)} tokens is full`)
  } else if (finish === 'length') lines.push('the answer was cut at the number of tokens that one answer may have')
  if (after?.rollover !== undefined && after.rollover.tag !== before?.rollover?.tag) {
    lines.push(
      `the context was full: ${count(after.rollover.messages)} older messages are left out from now on; the whole is in window ${after.rollover.window}`,
    )
  }
  if (after?.auto_window !== undefined && after.auto_window !== before?.auto_window) {
    lines.push(`the context nears its limit: frozen as ${after.auto_window}`)
  }
  if (after?.prefix_break !== undefined && after.prefix_break.at !== before?.prefix_break?.at) {
    lines.push(formatPrefixBreak(after.prefix_break))
  }
  return lines
}
