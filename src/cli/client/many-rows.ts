// How the answers of many windows are shown: a row for each window as it is done, and the receipt of all.

import type { AnsweredWindowJson, FailedWindowJson, ManyReceiptJson } from '../../wire/many-asks.ts'
import type { Screen } from '../terminal/screen.ts'
import { formatCount, formatDuration, pluralize, toSingleLine, truncate, widthOf } from '../terminal/text.ts'
import { formatRemarks } from './receipts.ts'

/** Columns of a terminal: rows are printed one by one, so their widths are fixed. */
const NAME = 24
const TOKENS = 9
const TIME = 8
const GAP = '  '
const MIN_ANSWER = 16

export type WindowResult = AnsweredWindowJson | FailedWindowJson

export function formatHeader(screen: Screen): string[] {
  if (!screen.isTerminal) return []
  return [screen.style('dim', line(['WINDOW', 'RESTORED', 'COMPUTED', 'FIRST', 'ANSWER']))]
}

/** Aligned on a terminal. For programs: window, state, restored, computed, milliseconds to the first text, and answer or error, with tabs between. */
export function formatRow(screen: Screen, result: WindowResult): string {
  const answer = 'error' in result ? result.error.message : (result.answer ?? 'not found')
  if ('error' in result) {
    if (!screen.isTerminal) return [result.window, 'failed', '', '', '', toSingleLine(answer)].join('\t')
    return line([result.window, '', '', '', screen.style('red', shown(screen, answer))])
  }
  const { restored_tokens, computed_tokens, first_token_ms } = result.receipt
  if (!screen.isTerminal) {
    const state = result.answer === null ? 'not_found' : 'answered'
    const cells = [result.window, state, restored_tokens, computed_tokens, first_token_ms]
    return [...cells.map((cell) => cell ?? ''), toSingleLine(result.answer ?? '')].join('\t')
  }
  return line([
    result.window,
    count(restored_tokens),
    count(computed_tokens),
    first_token_ms === null ? '' : formatDuration(first_token_ms),
    result.answer === null ? screen.style('dim', answer) : shown(screen, answer),
  ])
}

/** The receipt, as lines. */
export function formatManyReceipt(screen: Screen, receipt: ManyReceiptJson): string[] {
  const { windows, answered, not_found, failed, restored_tokens, computed_tokens, prompt_tokens, budget, ms } = receipt
  const states = [
    `${formatCount(answered)} answered`,
    not_found === 0 ? [] : `${formatCount(not_found)} without an answer`,
    failed === 0 ? [] : screen.style('red', `${formatCount(failed)} failed`),
  ].flat()
  const tokens =
    restored_tokens === null || computed_tokens === null
      ? 'restored tokens unknown, because the engine does not report them (--enable-prompt-tokens-details)'
      : `${formatCount(restored_tokens)} of ${pluralize(prompt_tokens ?? restored_tokens + computed_tokens, 'token')} restored, ${formatCount(computed_tokens)} computed`
  return [
    `${screen.style('green', 'asked')} ${pluralize(windows, 'window')}: ${states.join(', ')}; ${tokens}, in ${formatDuration(ms)}`,
    ...(budget === null || budget.stopped === 0
      ? []
      : [
          screen.style(
            'yellow',
            `the budget of ${formatCount(budget.tokens)} tokens stopped ${pluralize(budget.stopped, 'window')}`,
          ),
        ]),
    ...formatRemarks(screen, receipt),
  ]
}

function line([name = '', restored = '', computed = '', first = '', answer = '']: readonly string[]): string {
  const cells = [
    pad(truncate(toSingleLine(name), NAME), NAME),
    restored.padStart(TOKENS),
    computed.padStart(TOKENS),
    first.padStart(TIME),
    answer,
  ]
  return cells.join(GAP).trimEnd()
}

function shown({ columns }: Screen, answer: string): string {
  const used = NAME + 2 * TOKENS + TIME + 4 * GAP.length
  return truncate(toSingleLine(answer), Math.max(MIN_ANSWER, columns - used))
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

function count(value: number | null): string {
  return value === null ? '' : formatCount(value)
}
