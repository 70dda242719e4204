// Which servers hold the chunks of a sequence.

import type { Endpoint } from './http.ts'
import { askDirectory, type Tier } from './lookup.ts'
import { countChunks, type Sequence } from './sequence.ts'

/** One copy of one key, as the directory has seen it. */
export interface ChunkHolder {
  readonly instanceId: string
  readonly tier: Tier
  /** What the tier is made of: `fs`, `resp`, … */
  readonly backend: string
  /** Bytes of the key; 0 if the server did not say. */
  readonly sizeBytes: number
}

/** See `LmcacheClient.holders`. */
export async function findHolders(
  coordinator: Endpoint,
  sequence: Sequence,
  signal?: AbortSignal,
): Promise<readonly ChunkHolder[]> {
  if (countChunks(sequence) === 0) return []
  const { results } = await askDirectory(coordinator, sequence, signal)
  return results.flatMap(({ placements }) =>
    placements.flatMap(({ instance_id: instanceId, tier, backend, size_bytes: sizeBytes }) =>
      tier === 'l1' || tier === 'l2' ? [{ instanceId, tier, backend, sizeBytes }] : [],
    ),
  )
}
