// The names and tags of the windows that cwm freezes by itself.

import { createHash } from 'node:crypto'
import { isReservedName } from '../base/ids.ts'
import type { WindowRecord } from '../base/records.ts'

/** Each automatic window has it, and those before a cut have the second as well. */
export const autoTag = 'auto'
export const rolloverTag = 'rollover'

/** The name of a session's n-th automatic window. The session's own id may hold what no window's name may. */
export function autoName(tenant: string, sessionId: string, n: number): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([tenant, sessionId]))
    .digest('hex')
    .slice(0, 12)
  return `auto.${hash}.${n}`
}

/** The n of an automatic window's name; 0 for any other. */
export function autoNumberOf(name: string): number {
  const n = /^auto\.[0-9a-f]{12}\.([0-9]+)$/.exec(name)?.[1]
  return n === undefined ? 0 : Number(n)
}

/** Whether cwm froze it by itself: clients may give their windows any tag, but not such a name. */
export function isAutomatic({ name, origin }: WindowRecord): boolean {
  return origin === 'session' && isReservedName(name)
}

/** Whether it was frozen before a cut: what that cut left out is nowhere else. */
export function isBeforeCut(record: WindowRecord): boolean {
  return isAutomatic(record) && record.tags.includes(rolloverTag)
}
