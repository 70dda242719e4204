// Tables: aligned columns on a terminal; elsewhere tab-separated values without a header, for cut, awk, and sort.

import type { Screen } from './screen.ts'
import { toSingleLine, truncate, widthOf } from './text.ts'

export interface Column<T> {
  readonly title: string
  /** The full value, for programs. */
  readonly value: (item: T) => string | number | undefined
  /** The value for people. Default: the full value. */
  readonly display?: (item: T) => string
  readonly align?: 'right'
  /** May be truncated if the terminal is too narrow, widest column first. */
  readonly elastic?: boolean
}

const GAP = 2
const MIN_ELASTIC = 8

/** The lines of the table. */
export function formatTable<T>(screen: Screen, columns: readonly Column<T>[], items: readonly T[]): string[] {
  if (!screen.isTerminal)
    return items.map((item) => columns.map(({ value }) => toSingleLine(text(value(item)))).join('\t'))
  const rows = items.map((item) =>
    columns.map(({ value, display }) => toSingleLine(display?.(item) ?? text(value(item)))),
  )
  // Columns without any value are left out.
  const used = columns.flatMap((column, index) => (rows.some((row) => row[index] !== '') ? [{ column, index }] : []))
  const widths = used.map(({ column, index }) =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(row[index] ?? ''))),
  )
  narrow(
    widths,
    used.map(({ column }) => column.elastic === true),
    screen.columns,
  )
  const line = (cells: readonly string[]) =>
    used
      .map(({ column }, at) => pad(truncate(cells[at] ?? '', widths[at] ?? 0), widths[at] ?? 0, column.align))
      .join(' '.repeat(GAP))
      .trimEnd()
  const header = screen.style('dim', line(used.map(({ column }) => column.title)))
  return [header, ...rows.map((row) => line(used.map(({ index }) => row[index] ?? '')))]
}

/** Narrows the widest elastic column until the line fits, or nothing can be narrowed further. */
function narrow(widths: number[], elastic: readonly boolean[], columns: number): void {
  for (;;) {
    const total = widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1)
    const candidates = widths.map((width, at) => (elastic[at] === true && width > MIN_ELASTIC ? width : 0))
    const widest = Math.max(0, ...candidates)
    if (total <= columns || widest === 0) return
    widths[candidates.indexOf(widest)] = Math.max(MIN_ELASTIC, widest - Math.max(1, Math.min(widest, total - columns)))
  }
}

function pad(cell: string, width: number, align: 'right' | undefined): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(cell)))
  return align === 'right' ? blanks + cell : cell + blanks
}

function text(value: string | number | undefined): string {
  return value === undefined ? '' : String(value)
}

/** Names with their values, one per line. Entries without a value are left out. */
export function formatFields(
  screen: Screen,
  fields: readonly (readonly [name: string, value: string | undefined])[],
): string[] {
  const present = fields.filter(
    (field): field is readonly [string, string] => field[1] !== undefined && field[1] !== '',
  )
  const width = Math.max(0, ...present.map(([name]) => name.length))
  return present.map(([name, value]) => `${screen.style('dim', name.padEnd(width))}  ${toSingleLine(value)}`)
}
