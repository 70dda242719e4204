// What both stores derive from a session's record and its lineage.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { mergeFreezes } from '../base/newest-freezes.ts'
import type { SessionRecord } from '../base/records.ts'
import { addSpaces } from '../base/spaces.ts'
import type { RemovedSessions } from './store-values.ts'

/** How long a retired lineage is remembered, milliseconds: longer than any delete is retried, and than any request runs. */
export const retiredForMs = 30 * 24 * 3_600_000

/** Sessions of a window that are named by their ids. */
export const MAX_NAMED_SESSIONS = 20

/**
 * Whether it has a name, or had a turn behind its base window. Any other session can only be found by its boundaries, or not at all: one that
 * thawed a window and never got an answer.
 */
export function isLasting({
  named,
  baseWindow,
  turns,
}: Pick<SessionRecord, 'named' | 'baseWindow'> & { readonly turns?: number }): boolean {
  return named || (baseWindow !== undefined && turns !== 0)
}

/** The order of a held window once the last session has left it. */
export function releasedOrder({ heldWindow: _held, ...order }: DeletionRecord): DeletionRecord {
  return { ...order, nextTryAt: order.at }
}

/** The record to store after a turn: the turn's, with the spaces and newer freezes that only the stored record has. */
export function afterTurn(
  stored: Pick<SessionRecord, 'spaces' | 'spacesLost' | 'auto' | 'rollover'>,
  turn: SessionRecord,
): SessionRecord {
  const lost = stored.spacesLost === true || turn.spacesLost === true
  const { spaces, spacesLost = false } = addSpaces({ spaces: stored.spaces, spacesLost: lost }, turn.spaces)
  return { ...mergeFreezes(turn, stored), spaces, ...(spacesLost ? { spacesLost } : {}) }
}

/** The order for the KV of sessions that were removed together; undefined if there are none. */
export function removedSessions(removed: readonly SessionRecord[], order: DeletionRecord): RemovedSessions | undefined {
  const lineages = removed.map(({ lineage }) => lineage)
  const [lineage] = lineages
  if (lineage === undefined) return undefined
  return { removed, order: { ...order, name: String(lineages.length), lineage, lineages } }
}
