// Names and tags of automatic windows: those that cwm freezes on its own.

import { createHash } from 'node:crypto'
import { isReservedName } from '../base/ids.ts'
import type { WindowRecord } from '../base/records.ts'

/** Every automatic window has `autoTag`; those frozen before a cut also have `rolloverTag`. */
export const autoTag = 'auto'
export const rolloverTag = 'rollover'

/** The name of a session's n-th automatic window. It uses a hash because session ids may contain characters that window names may not. */
export function autoName(tenant: string, sessionId: string, n: number): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([tenant, sessionId]))
    .digest('hex')
    .slice(0, 12)
  return `auto.${hash}.${n}`
}

/** The number in an automatic window's name; 0 for any other name. */
export function autoNumberOf(name: string): number {
  const n = /^auto\.[0-9a-f]{12}\.([0-9]+)$/.exec(name)?.[1]
  return n === undefined ? 0 : Number(n)
}

/** Whether cwm froze the window on its own. Clients may use any tag, but not a reserved name. */
export function isAutomatic({ name, origin }: WindowRecord): boolean {
  return origin === 'session' && isReservedName(name)
}

/** Whether the window was frozen before a cut. It is then the only copy of the messages that the cut removed. */
export function isBeforeCut(record: WindowRecord): boolean {
  return isAutomatic(record) && record.tags.includes(rolloverTag)
}
