// What is normal stands in a receipt as a note; warnings are what an operator should look at.

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

it("says that the engine's own cache held more than the freeze had proved, and warns of nothing", async () => {
  await frozenSession(stack.url, { session: 'ann', window: 'w' })

  const receipt = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/w/thaw', {})
  const shown = await rest<{ thaw: ThawReceiptJson }>(stack.url, 'GET', `/sessions/${receipt.session_id}`)

  const more = [expect.stringContaining("the rest was still in the engine's own cache")]
  expect([receipt.warnings, receipt.notes]).toEqual([[], more])
  expect([shown.thaw.warnings, shown.thaw.notes]).toEqual([[], more])
})

it('is told on the command line as a note, in no color that alarms', async () => {
  const receipt = await rest<ThawReceiptJson>(stack.url, 'POST', '/windows/w/thaw', {})

  const words = formatThaw(screen as never, { ...receipt, warnings: ['look here'], notes: ['as ever'] })
  const { notes: _none, ...ofOldVersion } = receipt

  expect(words.slice(-2)).toEqual(['<yellow>warning look here', '<dim>note as ever'])
  expect(formatThaw(screen as never, ofOldVersion)).toHaveLength(1)
})
