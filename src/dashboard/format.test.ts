import { describe, expect, it } from 'vitest'
import { formatAge, formatDuration, formatPercent, pluralize } from './format.ts'

const now = Date.parse('2026-01-02T12:00:00Z')

describe('words', () => {
  it.each([
    ['2026-01-02T11:59:30Z', 'just now'],
    ['2026-01-02T12:00:30Z', 'just now'],
    ['2026-01-02T11:58:59Z', '1 min ago'],
    ['2026-01-02T10:00:00Z', '2 h ago'],
    ['2025-12-30T12:00:00Z', '3 d ago'],
  ])('%s is %s', (iso, words) => {
    expect(formatAge(iso, now)).toBe(words)
  })

  it('counts and measures', () => {
    expect([
      pluralize(1, 'token'),
      pluralize(1_234, 'token'),
      formatPercent(0.834),
      formatDuration(999.4),
      formatDuration(1_250),
    ]).toEqual(['1 token', '1,234 tokens', '83%', '999 ms', '1.3 s'])
  })
})
