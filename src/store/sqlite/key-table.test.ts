// The table must find every row by its hash, whatever was added and deleted before.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { KeyTable } from './key-table.ts'

/** A few hashes that share parts and slots. */
const hash = fc.constantFrom(0, 1, 15, 16, 17, 0xff000001, 0xff000011, 0xffffffff)
const row = fc.integer({ min: 1, max: 40 })
const step = fc.record({ isAdded: fc.boolean(), hash, row })

it('finds what was added and not deleted, for any hashes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new KeyTable()
      const expected = new Set<string>()
      for (const { isAdded, hash, row } of steps) {
        const entry = `${hash} ${row}`
        if (isAdded && !expected.has(entry)) {
          table.add(hash, row)
          expected.add(entry)
        } else if (!isAdded) {
          table.delete(hash, row)
          expected.delete(entry)
        }
      }
      const hashes = new Set(steps.map((one) => one.hash))
      const found = [...hashes].flatMap((one) => table.find(one).map((row) => `${one} ${row}`))
      expect(found.sort()).toEqual([...expected].sort())
      expect(table.size).toBe(expected.size)
    }),
  )
})

it('holds many rows, and none once it is cleared', () => {
  const table = new KeyTable()
  const hashes = Array.from({ length: 20_000 }, (_, n) => Math.imul(n + 1, 0x9e3779b1) >>> 0)
  for (const [n, hash] of hashes.entries()) table.add(hash, n + 1)

  expect(hashes.every((hash, n) => table.find(hash).includes(n + 1))).toBe(true)
  table.clear()
  expect(hashes.some((hash) => table.find(hash).length > 0)).toBe(false)
})
