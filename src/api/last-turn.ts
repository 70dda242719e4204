// The last turn of a session, as far as REST can freeze it.

import type { SessionRecord } from '../base/records.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { RetainedPrompt } from '../store/store-values.ts'

/**
 * Returns the retained turn. Undefined if there is none, or if another window was thawed into the session since: the turn belongs to the
 * context that the session gave up, and its KV may be deleted. Throws what the store throws.
 */
export async function freezableTurn(
  retained: Pick<RetainedTurns, 'find'>,
  { tenant, id, lineage, baseWindow, baseWindowId }: SessionRecord,
): Promise<RetainedPrompt | undefined> {
  const turn = await retained.find(tenant, id)
  if (turn?.lineage !== lineage || turn.parent !== baseWindow) return undefined
  // Turns stored by older versions have the name alone.
  return turn.parentId === undefined || turn.parentId === baseWindowId ? turn : undefined
}
