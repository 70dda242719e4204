// Where the chunks of a sequence are: asked of the directory until a deadline, and of a prefetch where the directory is blind.

import { setTimeout as delay } from 'node:timers/promises'
import type { Now } from '../base/clock.ts'
import type { Durability, TierCounts } from '../base/records.ts'
import type { Link } from '../kv/lmcache/link.ts'
import type { LookupResult } from '../kv/lmcache/lookup.ts'
import type { Sequence } from '../kv/lmcache/sequence.ts'

export interface Presence {
  readonly durability: Exclude<Durability, 'text'>
  /** Leading whole chunks that were shown to exist: only a prefix can be loaded. */
  readonly leadingChunks: number
  readonly tiers: TierCounts
  readonly warnings: readonly string[]
}

const FIRST_POLL_MS = 50
const SLOWEST_POLL_MS = 500
const PROBE_DEADLINE_MS = 10_000

/** Tier counts when nobody can be asked. */
export function unknownTiers(total: number): TierCounts {
  return { total, l1: null, l2: null, backends: {} }
}

/** Polls until every chunk is behind memory (or in memory, where nothing is behind it), or the deadline; then probes. */
export async function showPresence(
  { client, topology }: Link,
  sequence: Sequence,
  options: { readonly deadlineMs: number; readonly now: Now; readonly signal?: AbortSignal | undefined },
): Promise<Presence> {
  const hasL2 = topology.servers.some((server) => server.backends === null || server.backends.length > 0)
  const until = options.now() + options.deadlineMs
  let found = await client.lookup(sequence, options.signal)
  for (
    let wait = FIRST_POLL_MS;
    topology.directory && !settled(found, hasL2);
    wait = Math.min(2 * wait, SLOWEST_POLL_MS)
  ) {
    if (options.now() + wait > until) break
    await delay(wait, undefined, options.signal === undefined ? {} : { signal: options.signal })
    found = await client.lookup(sequence, options.signal)
  }
  const { total } = found.counts
  const leading = leadingChunks(found)
  if (leading === total) {
    const durability = found.counts.l2 === total ? 'l2' : 'l1'
    const warnings = durability === 'l1' && hasL2 ? ['not all chunks were seen behind memory in time'] : []
    return { durability, leadingChunks: total, tiers: found.counts, warnings }
  }
  // A prefetch counts all keys that it found, also behind a hole, and the engine loads only up to the hole: so it proves the
  // whole, and of a part no more than the directory has shown.
  const probe = await client.prefetch(sequence, { deadlineMs: PROBE_DEADLINE_MS, signal: options.signal })
  if (
    probe.foundKeys !== null &&
    probe.foundKeys === probe.totalKeys &&
    probe.foundKeys >= total * sequence.keys.worldSize
  ) {
    return { durability: 'l1', leadingChunks: total, tiers: found.counts, warnings: [] }
  }
  const probed = probe.foundKeys === null ? 'no answer in time' : `${probe.foundKeys} of ${probe.totalKeys} keys`
  return {
    durability: 'unverified',
    leadingChunks: leading,
    tiers: found.counts,
    warnings: [`the directory shows the first ${leading} of ${total} chunks, a prefetch probe ${probed}`],
  }
}

function settled({ counts }: LookupResult, hasL2: boolean): boolean {
  return (hasL2 ? counts.l2 : counts.l1) === counts.total
}

function leadingChunks({ chunks }: LookupResult): number {
  const missing = chunks.findIndex((chunk) => chunk.tiers.length === 0)
  return missing === -1 ? chunks.length : missing
}
