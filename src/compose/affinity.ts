// Wires the affinity headers: the fleet that adds them, and the notice to the router when a key has no session left.

import { AffineFleet } from '../engines/affine-fleet.ts'
import { readAffinity } from '../engines/affinity.ts'
import { FinishedSessions } from '../engines/finish-session.ts'
import { type EngineFleet, type KeyOf, sessionNeed } from '../engines/fleet.ts'
import type { ReleasedKeys } from '../windows/parts.ts'
import type { Start } from './start.ts'
import type { Storage } from './storage.ts'

export interface AffineEngines {
  readonly fleet: EngineFleet
  /** The headers that cwm sets itself, lower case. Undefined without an affinity header. */
  readonly affinityHeaders: ReadonlySet<string> | undefined
  /** Undefined if the router needs no notice. */
  readonly releasedKeys: ReleasedKeys | undefined
}

/** Without the setting `affinity`, the fleet is returned as it is. */
export function withAffinityHeaders(
  { settings, live, closers, log }: Start,
  { deriver }: Pick<Storage, 'deriver'>,
  fleet: EngineFleet,
  keyOf: KeyOf,
): AffineEngines {
  const affinity = readAffinity(settings.affinity) ?? undefined
  if (affinity === undefined) return { fleet, affinityHeaders: undefined, releasedKeys: undefined }
  const affine = new AffineFleet(fleet, affinity, { keyOf, tenantOf: (tenant) => deriver.fairness(tenant) })
  if (affinity.finish !== true) return { fleet: affine, affinityHeaders: affinity.names, releasedKeys: undefined }
  const apiKey = () => live.current.upstream_api_key
  const finished = new FinishedSessions({ fleet: affine, keyOf, apiKey, log })
  closers.add(() => finished.close())
  return { fleet: affine, affinityHeaders: affinity.names, releasedKeys: releasedKeys(settings.affinity_key, finished) }
}

function releasedKeys(by: Start['settings']['affinity_key'], finished: FinishedSessions): ReleasedKeys {
  if (by === 'session') {
    return { sessionEnded: (session) => finished.report(sessionNeed(session)), lineageIdle: () => {} }
  }
  return { sessionEnded: () => {}, lineageIdle: (tenant, lineage) => finished.report({ tenant, lineage }) }
}
