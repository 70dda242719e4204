// The filter must never lack a stored key, whatever is scanned and added at any time.

import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AbsenceFilter, type ScanPosition } from './absence-filter.ts'

const filters: AbsenceFilter[] = []

afterEach(() => {
  for (const filter of filters.splice(0)) filter.close()
})

/** A filter on a table of keys, which may grow. */
function filterOver(table: readonly string[], maxKeys = 1_000_000): AbsenceFilter {
  const scan = ([after]: ScanPosition = [0], atMost: number) =>
    table.slice(Number(after), Number(after) + atMost).map((key, i) => ({ key, position: [Number(after) + i + 1] }))
  const filter = new AbsenceFilter({ scan, maxKeys })
  filters.push(filter)
  return filter
}

/** Resolves when the scan has finished, so that the filter excludes keys. */
async function scanned(filter: AbsenceFilter): Promise<void> {
  await vi.waitFor(() => expect(filter.certainlyLacks('nowhere to be found')).toBe(true), { timeout: 10_000 })
}

const keys = (count: number, prefix = 'key') => Array.from({ length: count }, (_, n) => `${prefix}-${n}`)

describe('an absence filter', () => {
  it('excludes nothing until its scan has finished', () => {
    const filter = filterOver(['a'])

    expect([filter.certainlyLacks('a'), filter.certainlyLacks('b')]).toEqual([false, false])
  })

  it('excludes no scanned key, and nearly all others', async () => {
    const filter = filterOver(keys(100_000))
    await scanned(filter)

    expect(keys(100_000).filter((key) => filter.certainlyLacks(key))).toEqual([])
    const wrong = keys(100_000, 'other').filter((key) => !filter.certainlyLacks(key))
    expect(wrong.length).toBeLessThan(500)
  })

  it('excludes no key that was added during the scan or later', async () => {
    const table = keys(2_000)
    const filter = filterOver(table)
    filter.add('during')
    await scanned(filter)
    filter.add('after')

    expect(['during', 'after'].map((key) => filter.certainlyLacks(key))).toEqual([false, false])
  })

  it('never excludes a stored key, in any order of scans and additions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string(), { maxLength: 50 }), fc.array(fc.string()), async (before, later) => {
        const filter = filterOver(before)
        for (const key of later) filter.add(key)
        await scanned(filter)
        for (const key of later) filter.add(key)
        expect([...before, ...later].some((key) => filter.certainlyLacks(key))).toBe(false)
      }),
      { numRuns: 30 },
    )
  })

  it('is rebuilt when it is full, and then excludes deleted keys', async () => {
    const table = keys(10)
    const filter = filterOver(table, 100)
    await scanned(filter)
    for (const key of keys(100, 'passing')) filter.add(key) // stored, and deleted

    await vi.waitFor(() => expect(filter.certainlyLacks('passing-7')).toBe(true))

    expect(table.some((key) => filter.certainlyLacks(key))).toBe(false)
  })

  it('is disabled above its capacity', async () => {
    const table = keys(60)
    const scan = vi.fn((_after: ScanPosition | undefined) => table.map((key) => ({ key, position: [0] })))
    const filter = new AbsenceFilter({ scan, maxKeys: 100 })
    filters.push(filter)

    await vi.waitFor(() => expect(scan).toHaveBeenCalled())

    expect(filter.certainlyLacks('anything')).toBe(false)
  })

  it('excludes nothing once it is closed', async () => {
    const filter = filterOver([])
    await scanned(filter)

    filter.close()

    expect(filter.certainlyLacks('a')).toBe(false)
  })

  it('excludes nothing if the table cannot be read', async () => {
    const scan = vi.fn(() => {
      throw new Error('closed')
    })
    const filter = new AbsenceFilter({ scan, maxKeys: 100 })
    filters.push(filter)

    await vi.waitFor(() => expect(scan).toHaveBeenCalled())

    expect(filter.certainlyLacks('a')).toBe(false)
  })
})
