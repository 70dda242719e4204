// Derives the affinity key of work. Work with the same key should reach the same engine's cache.

import type { EngineNeed, KeyOf } from '../engines/fleet.ts'
import type { KeyDeriver } from './salt.ts'

/** The values of the setting `affinity_key`. */
export const affinityKeys = ['lineage', 'session'] as const
export type AffinityKey = (typeof affinityKeys)[number]

/**
 * By lineage, all sessions of a window have one key, because they share its KV. By session, each has its own, so that many sessions of one
 * window do not load one engine; work without a session then has the key of its lineage.
 */
export function keyOfNeed(deriver: Pick<KeyDeriver, 'affinity'>, by: AffinityKey): KeyOf {
  return ({ tenant, lineage, sessionId }: EngineNeed) => {
    if (tenant === undefined || lineage === undefined) return undefined
    if (by === 'session' && sessionId !== undefined) return deriver.affinity(tenant, 'session', sessionId)
    return deriver.affinity(tenant, 'lineage', lineage)
  }
}
