// Receipts list normal circumstances as notes, and as warnings only what an operator should check.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { formatThaw } from '../../src/cli/client/receipts.ts'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import { frozenSession, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

const screen = { style: (style: string, text: string) => `<${style}>${text}`, now: () => 0 }

it("notes that the engine's own cache had more than the freeze had verified, without a warning", async () => {
  await frozenSession(stack.url, { session: 'ann', window: 'w' })

  const receipt = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/w/thaw', {})
  const shown = await rest<{ thaw: ThawReceiptJson }>(stack.url, 'GET', `/sessions/${receipt.session_id}`)

  const more = [expect.stringContaining("the rest was still in the engine's own cache")]
  expect([receipt.warnings, receipt.notes]).toEqual([[], more])
  expect([shown.thaw.warnings, shown.thaw.notes]).toEqual([[], more])
})

it('shows it on the command line as a note, without a warning color', async () => {
  const receipt = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/w/thaw', {})

  const words = formatThaw(screen as never, { ...receipt, warnings: ['look here'], notes: ['as ever'] })
  const { notes: _none, ...ofOldVersion } = receipt

  expect(words.slice(-2)).toEqual(['<yellow>warning look here', '<dim>note as ever'])
  expect(formatThaw(screen as never, ofOldVersion)).toHaveLength(1)
})
