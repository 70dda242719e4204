// Output on a terminal: aligned, truncated to its width, and harmless whatever its content.

import { describe, expect, it } from 'vitest'
import type { SessionJson } from '../../wire/sessions.ts'
import { formatGauge } from '../chat/gauge.ts'
import { withProgress } from './progress.ts'
import type { Screen } from './screen.ts'
import { type Column, formatFields, formatTable } from './table.ts'
import { formatAge, formatDuration, formatPercent, stripControlCharacters, truncate, widthOf } from './text.ts'

const screen = (change: Partial<Screen> = {}): Screen => ({
  isTerminal: true,
  isInteractive: true,
  columns: 80,
  now: () => 0,
  print: () => {},
  printError: () => {},
  style: (_, text) => text,
  ...change,
})

interface Item {
  readonly name: string
  readonly tokens?: number
}

const columns: readonly Column<Item>[] = [
  { title: 'NAME', value: ({ name }) => name, elastic: true },
  {
    title: 'TOKENS',
    value: ({ tokens }) => tokens,
    display: ({ tokens }) => (tokens ?? 0).toLocaleString('en-US'),
    align: 'right',
  },
]

describe('tableOf', () => {
  it('aligns columns, numbers to the right', () => {
    const lines = formatTable(screen(), columns, [
      { name: 'a', tokens: 12_345 },
      { name: 'longer', tokens: 7 },
    ])

    expect(lines).toEqual(['NAME    TOKENS', 'a       12,345', 'longer       7'])
  })

  it('counts the columns of wide characters, not the characters', () => {
    const lines = formatTable(screen(), columns, [
      { name: '会議', tokens: 1 },
      { name: 'abc', tokens: 2 },
    ])

    expect(lines.map(widthOf)).toEqual([12, 12, 12])
  })

  it('truncates elastic columns until the line fits', () => {
    const [, row] = formatTable(screen({ columns: 20 }), columns, [{ name: 'a-very-long-name-indeed', tokens: 5 }])

    expect(row).toBe('a-very-long…       5')
  })

  describe('on a terminal that is too narrow', () => {
    const wide: readonly Column<Item>[] = [
      ...columns,
      { title: 'PARENT', value: () => 'first-draft', omit: 1 },
      { title: 'PINNED', value: () => 'pinned', omit: 2 },
    ]
    const items = [{ name: 'contract-of-the-harbor', tokens: 12_345 }]

    it('leaves out the less important columns, and names them', () => {
      expect(formatTable(screen({ columns: 40 }), wide, items)).toEqual([
        'NAME                 TOKENS  PARENT',
        'contract-of-the-ha…  12,345  first-draft',
        'not shown, too narrow: PINNED',
      ])
    })

    it('is never wider than it, with wide characters too', () => {
      for (let width = 10; width < 60; width++) {
        const lines = formatTable(screen({ columns: width }), wide, [...items, { name: '会議'.repeat(20) }])
        expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(width)
      }
    })

    it('leaves out nothing for programs', () => {
      expect(formatTable(screen({ columns: 10, isTerminal: false }), wide, items)).toEqual([
        'contract-of-the-harbor\t12345\tfirst-draft\tpinned',
      ])
    })

    it('continues long values of fields on indented lines', () => {
      expect(formatFields(screen({ columns: 40 }), [['note', 'All clauses read; questions open on 7 and 12']])).toEqual(
        ['note  All clauses read; questions open', '      on 7 and 12'],
      )
    })
  })

  it('leaves out a column without values', () => {
    const [header] = formatTable(screen(), [{ title: 'NOTE', value: () => undefined }, ...columns], [{ name: 'a' }])

    expect(header).toBe('NAME  TOKENS')
  })

  it('prints full values with tabs between them for programs, even if a value contains tabs', () => {
    expect(
      formatTable(screen({ isTerminal: false, columns: 5 }), columns, [{ name: 'a\tb\nc', tokens: 12_345 }]),
    ).toEqual(['a b c\t12345'])
  })
})

describe('texts', () => {
  it('replaces control characters', () => {
    expect(stripControlCharacters('a\u001b]0;x\u0007b\r\nc\td\u202ee')).toBe('a\ufffd]0;x\ufffdb\ufffd\nc\td\ufffde')
    expect(formatFields(screen(), [['note', 'one\ntwo\u001b[2J']])).toEqual(['note  one two\ufffd[2J'])
  })

  it('never separates a letter from its accents', () => {
    expect(truncate('e\u0301e\u0301e\u0301e\u0301', 3)).toBe('e\u0301e\u0301…')
  })

  it.each([
    [999, '999 ms'],
    [1_500, '1.5 s'],
    [190_000, '3 min 10 s'],
  ])('formats %i ms as %s', (ms, words) => {
    expect(formatDuration(ms)).toBe(words)
  })

  it.each([
    [59_000, '59 s'],
    [61_000, '1 min'],
    [7_200_000, '2 h'],
    [259_200_000, '3 d'],
  ])('formats an age of %i ms as %s', (ms, words) => {
    expect(formatAge(new Date(0).toISOString(), ms)).toBe(words)
  })

  it('shows 100% only for the whole', () => {
    expect([formatPercent(3_999, 4_000), formatPercent(4_000, 4_000), formatPercent(0, 0)]).toEqual([
      '99%',
      '100%',
      '0%',
    ])
  })
})

describe('gaugeOf', () => {
  const status = (total: number, limit = 1_000) => ({ usage: { total_tokens: total }, limit }) as SessionJson
  const styled = screen({ style: (style, text) => `<${style}>${text}` })

  it('fills with the context, and changes its color near the limit', () => {
    expect(formatGauge(styled, status(310))).toBe('▕<green>███       ▏ 31% of 1,000')
    expect(formatGauge(styled, status(760))).toContain('<yellow>')
    expect(formatGauge(styled, status(1_200))).toBe('▕<red>██████████▏ 120% of 1,000')
  })

  it('is empty if size or limit is unknown', () => {
    expect(formatGauge(styled, undefined)).toBe('')
  })
})

describe('withProgress', () => {
  it('prints nothing for work that finishes within a second', async () => {
    let told = ''

    const done = await withProgress('freezing', async () => 7, { write: (text) => (told += text) })

    expect({ done, told }).toEqual({ done: 7, told: '' })
  })
})
