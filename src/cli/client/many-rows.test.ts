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
  const rows = [answered('Ann,\nof course'), answered(null), answered('a'.repeat(200)), failed].map((row) =>
    formatRow(screen(true), row),
  )

  expect([...formatHeader(screen(true)), ...rows]).toEqual([
    'WINDOW                     RESTORED   COMPUTED     FIRST  ANSWER',
    'contract-2026                12,345         67    420 ms  Ann, of course',
    'contract-2026                12,345         67    420 ms  not found',
    `contract-2026                12,345         67    420 ms  ${'a'.repeat(41)}…`,
    'gone                                                      there is no window gone',
  ])
})

it('prints whole values with tabs between them for programs', () => {
  const rows = [answered('a'.repeat(200)), answered(null), failed].map((row) => formatRow(screen(false), row))

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
