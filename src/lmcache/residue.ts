// Asks one server for what is left of chunks, by prefetch: L2 answers for itself, where the directory only remembers events.

import { CwmError } from '../base/errors.ts'
import { deleteFromL1 } from './delete-keys.ts'
import type { FleetServer } from './fleet.ts'
import type { ObjectKey } from './keys.ts'
import { prefetchChunks } from './prefetch.ts'
import { l1RoomSchema } from './schemas.ts'
import type { Sequence } from './sequence.ts'
import { failureOr } from './server-facts.ts'

/** A sequence, and those of its keys that are asked for: others' may stand before them. */
export interface Probe {
  readonly sequence: Sequence
  readonly keys: readonly ObjectKey[]
  /** Of the largest of its keys; 0 where nobody said. */
  readonly keyBytes: number
}

export interface ProbeOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * How many of the keys the server still has, or null when it could not tell: its L1 lacks the room (a prefetch counts only
 * what fits, all or nothing), its answer did not come in time, or it failed. Whatever the probe loads it deletes from L1 again.
 * The keys must have been deleted from L1 before: what stands there counts as found. Throws on abort only.
 */
export async function probeKeys(server: FleetServer, probe: Probe, options: ProbeOptions): Promise<number | null> {
  const { endpoint } = server
  const { signal } = options
  const answer = await failureOr(
    (async () => {
      if (!(await hasRoom(server, probe, signal))) return null
      const { status, foundKeys } = await prefetchChunks({ endpoint }, probe.sequence, options)
      // A load that goes on beyond its deadline is cleaned up as far as it has come.
      if (status === 'completed' && foundKeys === 0) return 0
      const { removed, locked } = await deleteFromL1(server, probe.keys, signal)
      return status === 'completed' ? removed + locked : null
    })(),
    signal,
  )
  return answer instanceof CwmError ? null : answer
}

/** Half of what is free must do for everything that the probe may load: others store at the same time. */
async function hasRoom({ endpoint }: FleetServer, probe: Probe, signal: AbortSignal | undefined): Promise<boolean> {
  const { storage_manager } = await endpoint.call({ method: 'GET', path: '/status', schema: l1RoomSchema, signal })
  const managers = Object.values(storage_manager.l1_managers)
  if (managers.length === 0) return false
  return managers.every((manager) => {
    const { memory_used_bytes: used, memory_total_bytes: total, total_object_count: objects } = manager
    // Where nobody has told the size of these keys, that of others has to do; an empty L1 tells none.
    const each = probe.keyBytes > 0 ? probe.keyBytes : objects > 0 ? used / objects : Number.POSITIVE_INFINITY
    return countProbed(probe) * each <= (total - used) / 2
  })
}

/** The prefetch loads the whole sequence, also what stands before the keys in question. */
function countProbed({ sequence, keys }: Probe): number {
  const perChunk = Math.max(1, keys.length / Math.max(1, new Set(keys.map(({ hash }) => hash)).size))
  return Math.floor(sequence.tokenIds.length / sequence.keys.chunkSize) * perChunk
}
