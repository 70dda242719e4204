// Asks one server what is left of chunks, by prefetch: L2 itself answers, while the directory only remembers events.

import { CwmError } from '../../base/errors.ts'
import { deleteFromL1 } from './delete-keys.ts'
import type { FleetServer } from './fleet.ts'
import type { ObjectKey } from './keys.ts'
import { prefetchChunks } from './prefetch.ts'
import { l1RoomSchema } from './schemas.ts'
import type { Sequence } from './sequence.ts'
import { answerOrFailure } from './server-facts.ts'

/** A sequence, and those of its keys that are asked for; others may precede them. */
export interface Probe {
  readonly sequence: Sequence
  readonly keys: readonly ObjectKey[]
}

export interface ProbeOptions {
  readonly deadlineMs: number
  /** Bytes of one key by engine name; sizes learned on the way are added. */
  readonly keyBytes: Map<string, number>
  readonly signal?: AbortSignal | undefined
}

/**
 * How many of the keys the server still has. Null if unknown: its L1 lacks the room (a prefetch counts only what fits, all or nothing), its
 * answer was late, or it failed. The probe deletes from L1 what it loaded. Keys that were already in L1 count as found, and are deleted too.
 * Throws only on abort.
 */
export async function probeKeys(server: FleetServer, probe: Probe, options: ProbeOptions): Promise<number | null> {
  const { endpoint } = server
  const { signal } = options
  const answer = await answerOrFailure(
    (async () => {
      if (!(await hasRoom(server, probe, options))) return null
      const { status, foundKeys } = await prefetchChunks({ endpoint }, probe.sequence, options)
      // A load that continues beyond its deadline is cleaned up as far as it got.
      if (status === 'completed' && foundKeys === 0) return 0
      const { removed, locked } = await deleteFromL1(server, probe.keys, signal)
      return status === 'completed' ? removed + locked : null
    })(),
    signal,
  )
  return answer instanceof CwmError ? null : answer
}

/** The probe may use half of the free memory, because others store at the same time. */
async function hasRoom({ endpoint }: FleetServer, probe: Probe, { keyBytes, signal }: ProbeOptions): Promise<boolean> {
  const { storage_manager } = await endpoint.call({ method: 'GET', path: '/status', schema: l1RoomSchema, signal })
  const managers = Object.values(storage_manager.l1_managers)
  const { engineName } = probe.sequence.keys
  const usedBytes = sum(managers.map((manager) => manager.memory_used_bytes))
  const objects = sum(managers.map((manager) => manager.total_object_count))
  // If the size of these keys is unknown, the average in L1 is used; an empty L1 gives none.
  if (!keyBytes.has(engineName) && objects > 0) keyBytes.set(engineName, usedBytes / objects)
  const need = countProbed(probe) * (keyBytes.get(engineName) ?? Number.POSITIVE_INFINITY)
  const free = managers.map((manager) => manager.memory_total_bytes - manager.memory_used_bytes)
  return free.length > 0 && need <= Math.min(...free) / 2
}

/** The prefetch loads the whole sequence, including what precedes the keys in question. */
function countProbed({ sequence, keys }: Probe): number {
  const perChunk = Math.max(1, keys.length / Math.max(1, new Set(keys.map(({ hash }) => hash)).size))
  return Math.floor(sequence.tokenIds.length / sequence.keys.chunkSize) * perChunk
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0)
