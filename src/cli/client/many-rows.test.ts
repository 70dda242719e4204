import { expect, it } from 'vitest'
import type { AnsweredWindowJson, ManyReceiptJson } from '../../wire/many-asks.ts'
import type { Screen } from '../terminal/screen.ts'
import { formatHeader, formatManyReceipt, formatRow } from './many-rows.ts'

const screen = (isTerminal: boolean, columns = 100): Screen => ({
  isTerminal,
  isInteractive: isTerminal,
  columns,
  now: () => 0,
  print: () => {},
  printError: () => {},
  style: (_, text) => text,
})
const receipt = { restored_tokens: 12_345, computed_tokens: 67, first_token_ms: 420 }
const answered = (answer: string | null) =>
  ({ window: 'contract-2026', answer, receipt }) as unknown as AnsweredWindowJson
const failed = { window: 'gone', error: { message: 'there is no window gone' } } as never

it('aligns rows on a terminal, and cuts answers to its width', () => {
  const rows = [answered('Ann,\nof course'), answered(null), answered('a'.repeat(200)), failed].flatMap((row) =>
    formatRow(screen(true), row, false),
  )

  expect([...formatHeader(screen(true)), ...rows]).toEqual([
    'WINDOW                     RESTORED   COMPUTED     FIRST  ANSWER',
    'contract-2026                12,345         67    420 ms  Ann, of course',
    'contract-2026                12,345         67    420 ms  not found',
    `contract-2026                12,345         67    420 ms  ${'a'.repeat(41)}…`,
    'gone                                                      there is no window gone',
  ])
})

it('prints a long answer in full below its row if nothing is made of it, and an error always', () => {
  const long = 'The buoy is called Greta, and lies east of the third pier.\nAnn says so.'

  expect(formatRow(screen(true, 60), answered(long), true)).toEqual([
    'contract-…     12,345         67    420 ms',
    '  The buoy is called Greta, and lies east of the third pier.',
    '  Ann says so.',
  ])
  expect(formatRow(screen(true, 60), failed, false)).toEqual(['gone', '  there is no window gone'])
})

it('shows only names and answers on a narrow terminal, and is never wider', () => {
  const rows = [...formatHeader(screen(true, 40)), ...formatRow(screen(true, 40), answered('a'.repeat(99)), false)]

  expect(rows).toEqual(['WINDOW                  ANSWER', `contract-2026           ${'a'.repeat(15)}…`])
})

it('prints whole values with tabs between them for programs', () => {
  const rows = [answered('a'.repeat(200)), answered(null), failed].flatMap((row) => formatRow(screen(false), row, true))

  expect([...formatHeader(screen(false)), ...rows]).toEqual([
    `contract-2026\tanswered\t12345\t67\t420\t${'a'.repeat(200)}`,
    'contract-2026\tnot_found\t12345\t67\t420\t',
    'gone\tfailed\t\t\t\tthere is no window gone',
  ])
})

it('sums up what was asked, restored, and stopped by the budget', () => {
  const whole = {
    windows: 12,
    answered: 9,
    not_found: 2,
    failed: 1,
    restored_tokens: 12_288,
    computed_tokens: 2_763,
    prompt_tokens: 15_051,
    budget: { tokens: 3_000, estimated_tokens: 2_900, stopped: 1 },
    ms: 4_900,
    warnings: [],
    notes: ['a note'],
  } as unknown as ManyReceiptJson

  expect(formatManyReceipt(screen(false), whole)).toEqual([
    'asked 12 windows: 9 answered, 2 without an answer, 1 failed; 12,288 of 15,051 tokens restored, 2,763 computed, in 4.9 s',
    'the budget of 3,000 tokens stopped 1 window',
    'note a note',
  ])
})
