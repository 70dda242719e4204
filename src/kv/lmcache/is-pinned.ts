// Whether our pin is in place. LMCache counts pins per chunk, and windows that share chunks hold them together. So the count on a sequence's
// last chunk is compared with the holds known to cwm (docs/decisions/0003).

import type { CountHolds } from '../kv.ts'
import type { LmcacheClient } from './client.ts'
import { countChunks, type Sequence } from './sequence.ts'

/** Whether the coordinator counts more pins on the last whole chunk than others hold. False for a sequence shorter than one chunk. */
export async function isPinned(
  client: Pick<LmcacheClient, 'lookup' | 'listPins'>,
  sequence: Sequence & { readonly tokenIds: Uint32Array },
  countOthers: CountHolds,
): Promise<boolean> {
  const last = (await client.lookup(sequence)).chunks.at(-1)
  if (last === undefined) return false
  const { salt, keys, tokenIds } = sequence
  // In this order: a window that pins in between makes this one look pinned, which the next run repairs. The reverse would leak a pin.
  const others = await countOthers(tokenIds.subarray(0, countChunks(sequence) * keys.chunkSize))
  const count = (await client.listPins({ salt, keys })).get(last.hash) ?? 0
  return count > others
}
