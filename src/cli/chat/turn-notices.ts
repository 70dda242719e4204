// Notices about a turn, printed after its answer: restored tokens, cuts, cold turns.

import type { SessionJson } from '../../wire/sessions.ts'
import { formatCount, toSingleLine } from '../terminal/text.ts'
import { formatPrefixBreak } from '../windows-text.ts'
import type { TurnAnswer } from './turn.ts'

/** One line for each thing that the user should know about the turn. */
export function turnNotices(
  answer: TurnAnswer,
  before: SessionJson | undefined,
  after: SessionJson | undefined,
): string[] {
  const { headers, finish } = answer
  const lines: string[] = []
  const restored = headers.get('x-cwm-restored')
  if (restored !== null)
    lines.push(
      `restored ${formatCount(Number(restored))} tokens of window ${toSingleLine(headers.get('x-cwm-window') ?? '')}`,
    )
  const degraded = headers.get('x-cwm-degraded')
  if (degraded !== null)
    lines.push(`degraded: ${toSingleLine(degraded)} is unavailable; this turn was isolated and cold`)
  if (after?.truncation !== undefined) {
    lines.push(`the answer was cut: the context of ${formatCount(after.truncation.limit)} tokens is full`)
  } else if (finish === 'length') lines.push('the answer was cut at the maximum number of tokens per answer')
  if (after?.rollover !== undefined && after.rollover.tag !== before?.rollover?.tag) {
    lines.push(
      `the context was full: ${formatCount(after.rollover.messages)} older messages are left out from now on; window ${after.rollover.window} has the whole conversation`,
    )
  }
  if (after?.auto_window !== undefined && after.auto_window !== before?.auto_window) {
    lines.push(`the context is near its limit: frozen as window ${after.auto_window}`)
  }
  if (after?.prefix_break !== undefined && after.prefix_break.at !== before?.prefix_break?.at) {
    lines.push(formatPrefixBreak(after.prefix_break))
  }
  return lines
}
