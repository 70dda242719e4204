import { expect, it } from 'vitest'
import type { AskReceipt } from '../ask/ask-window.ts'
import { CwmError } from '../base/errors.ts'
import { progressLine } from './progress.ts'

const window = (answer: string | null) =>
  progressLine({
    type: 'window',
    window: 'one',
    answer,
    passage: null,
    usage: undefined,
    receipt: {} as AskReceipt,
  })

it('is one line for each window', () => {
  expect(progressLine({ type: 'started', windows: 3, parallel: 2 })).toBe('Asking 3 windows, 2 at once.\n')
  expect(progressLine({ type: 'started', windows: 1, parallel: 1 })).toBe('Asking 1 window.\n')
  expect(window('Ann,\n who lives there')).toBe('one: Ann, who lives there\n')
  expect(window(null)).toBe('one: not found\n')
  expect(progressLine({ type: 'window_error', window: 'one', error: new CwmError('WINDOW_FAILED', 'x') })).toBe(
    'one: failed (window_failed)\n',
  )
  expect(progressLine({ type: 'text', text: 'Ann' })).toBeUndefined()
})

it('shows the beginning of a long answer, and never half of a character', () => {
  expect(window('a'.repeat(1_000))).toBe(`one: ${'a'.repeat(200)}…\n`)
  expect(window('🧊'.repeat(1_000))).toBe(`one: ${'🧊'.repeat(200)}…\n`)
})
