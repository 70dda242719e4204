// How the answers of many windows are shown: a row for each window as it is done, and the receipt of all.

import type { AnsweredWindowJson, FailedWindowJson, ManyReceiptJson } from '../../wire/many-asks.ts'
import type { Screen } from '../terminal/screen.ts'
import { formatCount, formatDuration, pluralize, toSingleLine, truncate, widthOf, wrap } from '../terminal/text.ts'
import { formatRemarks } from './receipts.ts'

/** Columns of a terminal: rows are printed one by one, so their widths do not depend on their content. */
const NAME = 24
const TOKENS = 9
const TIME = 8
const GAP = '  '
const INDENT = '  '
const MIN_ANSWER = 16
/** A narrower terminal shows names and answers only. */
const MIN_COLUMNS = 60

export type WindowResult = AnsweredWindowJson | FailedWindowJson

export function formatHeader(screen: Screen): string[] {
  if (!screen.isTerminal) return []
  return [screen.style('dim', line(screen, ['WINDOW', 'RESTORED', 'COMPUTED', 'FIRST', 'ANSWER']))]
}

/**
 * One window as lines. Aligned on a terminal, where an answer that does not fit is cut, or with `isWhole` follows on lines of its own, as an error
 * always does. For programs one line: window, state, restored, computed, milliseconds to the first text, and answer or error, with tabs between.
 */
export function formatRow(screen: Screen, result: WindowResult, isWhole: boolean): string[] {
  const isError = 'error' in result
  const answer = isError ? result.error.message : (result.answer ?? 'not found')
  const receipt = isError ? undefined : result.receipt
  if (!screen.isTerminal) {
    const { restored_tokens = null, computed_tokens = null, first_token_ms = null } = receipt ?? {}
    const state = isError ? 'failed' : result.answer === null ? 'not_found' : 'answered'
    const shown = !isError && result.answer === null ? '' : answer
    const cells = [result.window, state, restored_tokens, computed_tokens, first_token_ms, toSingleLine(shown)]
    return [cells.map((cell) => cell ?? '').join('\t')]
  }
  const style = (text: string) =>
    isError ? screen.style('red', text) : result.answer === null ? screen.style('dim', text) : text
  const first = receipt?.first_token_ms ?? null
  const cells = [
    result.window,
    count(receipt?.restored_tokens ?? null),
    count(receipt?.computed_tokens ?? null),
    first === null ? '' : formatDuration(first),
  ]
  const text = toSingleLine(answer)
  const width = answerWidth(screen)
  if (widthOf(text) > width && (isWhole || isError)) {
    const lines = answer.split(/\r?\n/).flatMap((one) => wrap(toSingleLine(one), screen.columns - INDENT.length))
    return [line(screen, cells), ...lines.map((one) => INDENT + style(one))]
  }
  return [line(screen, [...cells, style(truncate(text, width))])]
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

function line(
  screen: Screen,
  [name = '', restored = '', computed = '', first = '', answer = '']: readonly string[],
): string {
  const width = nameWidth(screen)
  const counts = [restored.padStart(TOKENS), computed.padStart(TOKENS), first.padStart(TIME)]
  const cells = [
    pad(truncate(toSingleLine(name), width), width),
    ...(screen.columns < MIN_COLUMNS ? [] : counts),
    answer,
  ]
  return cells.join(GAP).trimEnd()
}

/** What all columns but name and answer take, with the gaps. */
function countsWidth({ columns }: Screen): number {
  return columns < MIN_COLUMNS ? GAP.length : 2 * TOKENS + TIME + 4 * GAP.length
}

function nameWidth(screen: Screen): number {
  return Math.max(8, Math.min(NAME, screen.columns - countsWidth(screen) - MIN_ANSWER))
}

function answerWidth(screen: Screen): number {
  return Math.max(1, screen.columns - countsWidth(screen) - nameWidth(screen))
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

function count(value: number | null): string {
  return value === null ? '' : formatCount(value)
}
