// Verifies where the chunks of a sequence are: polls the directory until a deadline, and uses a prefetch if the directory is blind.

import { setTimeout as delay } from 'node:timers/promises'
import type { Now } from '../../base/clock.ts'
import type { KvWait, Placement, VerifiedPlacement } from '../kv.ts'
import type { LmcacheConnection } from './connector.ts'
import { FleetView } from './fleet-view.ts'
import type { LookupResult } from './lookup.ts'
import { countChunks, type Sequence } from './sequence.ts'
import { unknownServer } from './shared-l2.ts'
import { findById, isAttached, type LmcacheTopology } from './topology.ts'

const FIRST_POLL_MS = 50
const SLOWEST_POLL_MS = 500
const PROBE_DEADLINE_MS = 10_000

type Link = Pick<LmcacheConnection, 'client' | 'topology'>

/**
 * Polls until every chunk is in storage that outlives memory and that the whole fleet can load from (or as close to it as the fleet has), or
 * the deadline; then probes. Only what the engine's server can load counts.
 */
export async function verifyPlacement(
  { client, topology }: Link,
  sequence: Sequence,
  { deadlineMs, server, signal }: KvWait,
  now: Now,
): Promise<VerifiedPlacement> {
  const { instanceId, warnings } = findServer(topology, server)
  const view = new FleetView(topology, instanceId)
  const until = now() + deadlineMs
  let found = await client.lookup(sequence, signal)
  for (
    let wait = FIRST_POLL_MS;
    topology.directory && !view.isSettled(found);
    wait = Math.min(2 * wait, SLOWEST_POLL_MS)
  ) {
    if (now() + wait > until) break
    await delay(wait, undefined, signal === undefined ? {} : { signal })
    found = await client.lookup(sequence, signal)
  }
  const { total } = found.counts
  const { chunkSize } = sequence.keys
  const leading = leadingChunks(view.loadable(found))
  const { chunkBytes, counts: tiers } = found
  const l2Shared = view.isShared(found)
  if (leading === total) {
    const { durability, ...remarks } = view.judge(found)
    return {
      durability,
      l2Shared,
      restorableTokens: total * chunkSize,
      tiers,
      chunkBytes,
      warnings: [...warnings, ...remarks.warnings],
      notes: remarks.notes,
    }
  }
  // A prefetch also counts keys after a gap, but the engine loads only up to the gap. So it can prove the whole sequence, but no more of a part
  // than the directory has shown.
  const probed = await probe({ client, topology }, sequence, instanceId, signal)
  if (probed === 'whole') {
    return { durability: 'l1', l2Shared, restorableTokens: total * chunkSize, tiers, chunkBytes, warnings, notes: [] }
  }
  return {
    durability: 'unverified',
    l2Shared,
    restorableTokens: leading * chunkSize,
    tiers,
    chunkBytes,
    warnings: [...warnings, `the directory shows the first ${leading} of ${total} chunks, a prefetch probe ${probed}`],
    notes: [],
  }
}

/** Servers that a probe asks at most, if it is not known which one the engine is attached to. */
const MAX_PROBED = 4

/** Whether a server has the whole sequence: `whole`, or what the last probe found instead. Probes one server if it is known which. */
async function probe(
  { client, topology }: Link,
  sequence: Sequence,
  instanceId: string | undefined,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { engineName } = sequence.keys
  const attached = topology.servers.filter((one) => isAttached(one, engineName))
  const ids =
    instanceId === undefined ? attached.flatMap((one) => one.instanceId ?? []).slice(0, MAX_PROBED) : [instanceId]
  let result = ''
  for (const id of ids.length < 2 ? [instanceId] : ids) {
    const options = { deadlineMs: PROBE_DEADLINE_MS, signal, ...(id === undefined ? {} : { instanceId: id }) }
    const { foundKeys, totalKeys } = await client.prefetch(sequence, options)
    const whole = foundKeys === totalKeys && (foundKeys ?? -1) >= countChunks(sequence) * sequence.keys.worldSize
    if (whole) return 'whole'
    result = foundKeys === null ? 'did not answer in time' : `found ${foundKeys} of ${totalKeys} keys`
  }
  return result
}

/** The server that the settings name for an engine; no id if they name none, or one that does not exist. */
export function findServer(
  topology: Pick<LmcacheTopology, 'servers'>,
  server: string | undefined,
): { readonly instanceId?: string; readonly warnings: readonly string[] } {
  if (server === undefined) return { warnings: [] }
  if (findById(topology, server) !== undefined) return { instanceId: server, warnings: [] }
  return { warnings: [unknownServer(server, topology)] }
}

/** A single directory lookup. */
export async function locate(
  { client }: Pick<LmcacheConnection, 'client'>,
  sequence: Sequence,
  signal?: AbortSignal,
): Promise<Placement> {
  const found = await client.lookup(sequence, signal)
  const { counts: tiers, chunkBytes } = found
  return { tiers, chunkBytes, restorableTokens: leadingChunks(found) * sequence.keys.chunkSize }
}

function leadingChunks({ chunks }: LookupResult): number {
  const missing = chunks.findIndex((chunk) => chunk.tiers.length === 0)
  return missing === -1 ? chunks.length : missing
}
