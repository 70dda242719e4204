// The gauge in the chat's prompt that shows how full the context is.

import type { SessionJson } from '../../wire/sessions.ts'
import type { Screen, Style } from '../terminal/screen.ts'
import { formatCount, formatPercent } from '../terminal/text.ts'

const CELLS = 10
const NEAR = 0.75
const FULL = 0.9

/** For example `▕███       ▏ 31% of 16,384`. Empty if the size or the limit is unknown. */
export function formatGauge(screen: Screen, status: SessionJson | undefined): string {
  const used = status?.usage?.total_tokens
  const limit = status?.limit
  if (used === undefined || limit === undefined || limit === 0) return ''
  const share = Math.min(1, used / limit)
  const filled = Math.round(share * CELLS)
  const style: Style = share >= FULL ? 'red' : share >= NEAR ? 'yellow' : 'green'
  const bar = screen.style(style, '█'.repeat(filled)) + ' '.repeat(CELLS - filled)
  return `▕${bar}▏ ${formatPercent(used, limit)} of ${formatCount(limit)}`
}
