// Verifies where the chunks of a sequence are: polls the directory until a deadline, and uses a prefetch if the directory is blind.

import { setTimeout as delay } from 'node:timers/promises'
import type { Now } from '../../base/clock.ts'
import type { KvWait, Placement, VerifiedPlacement } from '../kv.ts'
import type { LmcacheConnection } from './connector.ts'
import type { LookupResult } from './lookup.ts'
import type { Sequence } from './sequence.ts'

const FIRST_POLL_MS = 50
const SLOWEST_POLL_MS = 500
const PROBE_DEADLINE_MS = 10_000

/** Polls until every chunk is behind memory (or in memory, if there is no L2), or the deadline; then probes. */
export async function verifyPlacement(
  { client, topology }: Pick<LmcacheConnection, 'client' | 'topology'>,
  sequence: Sequence,
  { deadlineMs, signal }: KvWait,
  now: Now,
): Promise<VerifiedPlacement> {
  const hasL2 = topology.servers.some((server) => server.backends === null || server.backends.length > 0)
  const until = now() + deadlineMs
  let found = await client.lookup(sequence, signal)
  for (
    let wait = FIRST_POLL_MS;
    topology.directory && !settled(found, hasL2);
    wait = Math.min(2 * wait, SLOWEST_POLL_MS)
  ) {
    if (now() + wait > until) break
    await delay(wait, undefined, signal === undefined ? {} : { signal })
    found = await client.lookup(sequence, signal)
  }
  const { total } = found.counts
  const { chunkSize } = sequence.keys
  const leading = leadingChunks(found)
  if (leading === total) {
    const durability = found.counts.l2 === total ? 'l2' : 'l1'
    const warnings = durability === 'l1' && hasL2 ? ['not all chunks were found in L2 by the deadline'] : []
    return { durability, restorableTokens: total * chunkSize, tiers: found.counts, warnings }
  }
  // A prefetch also counts keys after a gap, but the engine loads only up to the gap. So it can prove the whole sequence, but no more of a part
  // than the directory has shown.
  const probe = await client.prefetch(sequence, { deadlineMs: PROBE_DEADLINE_MS, signal })
  if (
    probe.foundKeys !== null &&
    probe.foundKeys === probe.totalKeys &&
    probe.foundKeys >= total * sequence.keys.worldSize
  ) {
    return { durability: 'l1', restorableTokens: total * chunkSize, tiers: found.counts, warnings: [] }
  }
  const probed =
    probe.foundKeys === null ? 'did not answer in time' : `found ${probe.foundKeys} of ${probe.totalKeys} keys`
  return {
    durability: 'unverified',
    restorableTokens: leading * chunkSize,
    tiers: found.counts,
    warnings: [`the directory shows the first ${leading} of ${total} chunks, a prefetch probe ${probed}`],
  }
}

/** A single directory lookup. */
export async function locate(
  { client }: Pick<LmcacheConnection, 'client'>,
  sequence: Sequence,
  signal?: AbortSignal,
): Promise<Placement> {
  const found = await client.lookup(sequence, signal)
  return { tiers: found.counts, restorableTokens: leadingChunks(found) * sequence.keys.chunkSize }
}

function settled({ counts }: LookupResult, hasL2: boolean): boolean {
  return (hasL2 ? counts.l2 : counts.l1) === counts.total
}

function leadingChunks({ chunks }: LookupResult): number {
  const missing = chunks.findIndex((chunk) => chunk.tiers.length === 0)
  return missing === -1 ? chunks.length : missing
}
