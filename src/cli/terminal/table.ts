// Tables: aligned columns on a terminal; elsewhere tab-separated values without a header, for cut, awk, and sort.

import type { Screen, Style } from './screen.ts'
import { toSingleLine, truncate, widthOf, wrap } from './text.ts'

export interface Column<T> {
  readonly title: string
  /** The full value, for programs. */
  readonly value: (item: T) => string | number | undefined
  /** The value for people. Default: the full value. */
  readonly display?: (item: T) => string
  readonly align?: 'right'
  /** May be truncated if the terminal is too narrow, widest column first. */
  readonly elastic?: boolean
  /** How the cell is styled on a terminal. */
  readonly style?: (item: T) => Style
  /** Left out if the terminal is still too narrow, highest number first. Absent: always shown. */
  readonly omit?: number
}

const GAP = 2
/** Elastic columns keep this width while other columns can be left out, and the smaller one after that. */
const COMFORTABLE = 14
const MIN_ELASTIC = 8

/** A column on a terminal, with the text of its cells. */
interface Shown<T> {
  readonly column: Column<T>
  readonly cells: readonly string[]
  width: number
}

/** The lines of the table. On a terminal none is wider than that, and the last line names the columns that are left out. */
export function formatTable<T>(screen: Screen, columns: readonly Column<T>[], items: readonly T[]): string[] {
  if (!screen.isTerminal)
    return items.map((item) => columns.map(({ value }) => toSingleLine(text(value(item)))).join('\t'))
  // Columns without any value are left out.
  const all = columns
    .map((column) => shownColumn(column, items))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
  const { shown, omitted } = fitInto(screen.columns, all)
  const isCut = totalWidth(shown) > screen.columns
  const line = (cellOf: (column: Shown<T>) => string, styleOf?: (column: Column<T>) => Style | undefined) => {
    const cells = shown.map((one) => {
      const cell = pad(truncate(cellOf(one), one.width), one.width, one.column.align)
      const style = isCut ? undefined : styleOf?.(one.column)
      return style === undefined ? cell : screen.style(style, cell)
    })
    return truncate(cells.join(' '.repeat(GAP)).trimEnd(), screen.columns)
  }
  const header = screen.style(
    'dim',
    line(({ column }) => column.title),
  )
  const rows = items.map((item, row) =>
    line(
      ({ cells }) => cells[row] ?? '',
      ({ style }) => style?.(item),
    ),
  )
  if (omitted.length === 0) return [header, ...rows]
  const hint = `not shown, too narrow: ${omitted.map(({ title }) => title).join(', ')}`
  return [header, ...rows, screen.style('dim', truncate(hint, screen.columns))]
}

function shownColumn<T>(column: Column<T>, items: readonly T[]): Shown<T> {
  const { title, value, display } = column
  const cells = items.map((item) => toSingleLine(display?.(item) ?? text(value(item))))
  return { column, cells, width: Math.max(widthOf(title), ...cells.map(widthOf)) }
}

/** Narrows columns to a comfortable width, then leaves some out, then narrows the rest further, until the line fits or nothing else helps. */
function fitInto<T>(
  columns: number,
  all: readonly Shown<T>[],
): { shown: readonly Shown<T>[]; omitted: readonly Column<T>[] } {
  const omitted: Column<T>[] = []
  let rest = all
  for (;;) {
    // Copies, because leaving a column out gives the others room again.
    const shown = rest.map((one) => ({ ...one }))
    narrow(shown, COMFORTABLE, columns)
    const least = Math.max(...rest.map(({ column }) => column.omit ?? 0))
    if (least === 0 || totalWidth(shown) <= columns) {
      narrow(shown, MIN_ELASTIC, columns)
      return { shown, omitted }
    }
    const out = rest.findIndex(({ column }) => column.omit === least)
    omitted.unshift(...rest.slice(out, out + 1).map(({ column }) => column))
    rest = rest.toSpliced(out, 1)
  }
}

/** Narrows the widest elastic column, down to `least`, until the line fits or nothing can be narrowed further. */
function narrow<T>(shown: readonly Shown<T>[], least: number, columns: number): void {
  for (;;) {
    const excess = totalWidth(shown) - columns
    const candidates = shown.filter(({ column, width }) => column.elastic === true && width > least)
    const [widest] = candidates.sort((a, b) => b.width - a.width)
    if (excess <= 0 || widest === undefined) return
    widest.width = Math.max(least, widest.width - excess)
  }
}

function totalWidth(shown: readonly { readonly width: number }[]): number {
  return shown.reduce((sum, { width }) => sum + width, 0) + GAP * (shown.length - 1)
}

function pad(cell: string, width: number, align: 'right' | undefined): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(cell)))
  return align === 'right' ? blanks + cell : cell + blanks
}

function text(value: string | number | undefined): string {
  return value === undefined ? '' : String(value)
}

/** Names with their values, one per line. Entries without a value are left out. On a terminal, long values continue on indented lines. */
export function formatFields(
  screen: Screen,
  fields: readonly (readonly [name: string, value: string | undefined])[],
): string[] {
  const present = fields.filter(
    (field): field is readonly [string, string] => field[1] !== undefined && field[1] !== '',
  )
  const width = Math.max(0, ...present.map(([name]) => name.length))
  return present.flatMap(([name, value]) => {
    const label = `${screen.style('dim', name.padEnd(width))}  `
    const line = toSingleLine(value)
    if (!screen.isTerminal) return [label + line]
    return wrap(line, screen.columns - width - GAP).map((part, at) =>
      at === 0 ? label + part : ' '.repeat(width + GAP) + part,
    )
  })
}
