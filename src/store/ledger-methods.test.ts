import { expect, it } from 'vitest'
import { ledgerGroupOf } from './ledger-methods.ts'

// Rows of the journal are stored under these numbers, so another version must compute the same ones.
it.each([
  ['acme', 39],
  ['globex', 20],
  ['(others)', 26],
  ['tenant-77', 10],
  ['Zoë', 14],
  ['', 7],
])('%j is in the same group in all versions', (tenant, group) => {
  expect(ledgerGroupOf(tenant)).toBe(group)
})
