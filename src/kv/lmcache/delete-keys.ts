// Deletes keys from everything that a fleet's servers hold: L1 and each L2 adapter. It uses the servers' own route, because the coordinator's
// only reaches the first adapter (docs/engine-behavior.md#coordinator-delete). That route ignores pins, so callers unpin first.

import { CwmError } from '../../base/errors.ts'
import type { Fleet, FleetServer } from './fleet.ts'
import { batches, type ObjectKey, wireKey } from './keys.ts'
import { deleteSchema } from './schemas.ts'
import { answerOrFailure } from './server-facts.ts'

/** What the servers reported. Their counts prove nothing for L2: see residue.ts. */
export interface DeleteOutcome {
  /** Keys that some L1 holds locked for a running store or load. They stay now; a later attempt can delete them. */
  readonly locked: number
  /** One text per server or adapter that failed. Its keys may still exist. */
  readonly failures: readonly string[]
  /** What cannot be reached in a fleet like this. */
  readonly warnings: readonly string[]
}

/** Deletes on all servers at once, and continues if one fails. Throws only on abort. */
export async function deleteKeys(
  { servers }: Fleet,
  keys: readonly ObjectKey[],
  signal?: AbortSignal,
): Promise<DeleteOutcome> {
  if (keys.length === 0) return { locked: 0, failures: [], warnings: [] }
  const outcomes = await Promise.all(servers.map((server) => deleteOn(server, keys, signal)))
  return {
    locked: outcomes.reduce((sum, { locked }) => sum + locked, 0),
    failures: outcomes.flatMap(({ failures }) => failures),
    warnings: outcomes.flatMap(({ warnings }) => warnings),
  }
}

/** Deletes from L1 twice: first so that no store reaches L2 unseen, and again for keys loaded in between. */
async function deleteOn(
  server: FleetServer,
  keys: readonly ObjectKey[],
  signal: AbortSignal | undefined,
): Promise<DeleteOutcome> {
  const { label, reachable, backends } = server
  if (!reachable) return { locked: 0, failures: [`LMCache server ${label} is not reachable`], warnings: [] }
  const failures: string[] = []
  const note = (outcome: L1Outcome | CwmError | undefined): number => {
    if (outcome instanceof CwmError) failures.push(outcome.message)
    return outcome === undefined || outcome instanceof CwmError ? 0 : outcome.locked
  }
  const first = await answerOrFailure(deleteFromL1(server, keys, signal), signal)
  note(first)
  if (first instanceof CwmError && first.code === 'LMCACHE_UNREACHABLE') return { locked: 0, failures, warnings: [] }
  if (backends === null) failures.push(`LMCache server ${label} did not report its L2 adapters`)
  for (const backend of new Set(backends))
    note(await answerOrFailure(deleteFromL2(server, backend, keys, signal), signal))
  const locked = note(await answerOrFailure(deleteFromL1(server, keys, signal), signal))
  return { locked, failures: [...new Set(failures)], warnings: unaddressable(server) }
}

/** Two adapters of one type share a name, and the first one gets all requests. */
function unaddressable({ label, backends }: FleetServer): string[] {
  const twice = new Set(backends?.filter((backend, i) => backends.indexOf(backend) !== i))
  return [...twice].map(
    (backend) => `LMCache server ${label} has several ${backend} adapters: only the first was asked`,
  )
}

/** Keys deleted from L1, and keys that stayed locked. */
export interface L1Outcome {
  readonly removed: number
  readonly locked: number
}

/**
 * Deletes from the L1 of one server. Unlike an adapter's count, this one is accurate: it counts only existing keys. Never forced, because that
 * frees memory which a store or a load still uses. Throws `LMCACHE_UNREACHABLE` or `LMCACHE_BAD_ANSWER`.
 */
export async function deleteFromL1(
  { endpoint }: FleetServer,
  keys: readonly ObjectKey[],
  signal?: AbortSignal,
): Promise<L1Outcome> {
  const outcome = { removed: 0, locked: 0 }
  for (const batch of batches(keys)) {
    const body = JSON.stringify({ keys: batch.map(wireKey), tier: 'l1' })
    const call = { method: 'DELETE', path: '/cache/objects', body, schema: deleteSchema, signal } as const
    const answer = await endpoint.call(call)
    if (!answer.ok) throw endpoint.badAnswer(call, 'could not delete from L1')
    outcome.removed += answer.deleted
    outcome.locked += answer.skipped
  }
  return outcome
}

async function deleteFromL2(
  { endpoint, label }: FleetServer,
  adapter: string,
  keys: readonly ObjectKey[],
  signal: AbortSignal | undefined,
): Promise<undefined> {
  for (const batch of batches(keys)) {
    const body = JSON.stringify({ keys: batch.map(wireKey), tier: 'l2', adapter })
    const call = { method: 'DELETE', path: '/cache/objects', body, schema: deleteSchema, signal } as const
    const failure = `could not delete from its L2 adapter ${adapter}`
    const answer = await answerOrFailure(endpoint.call(call), signal)
    if (answer instanceof CwmError)
      throw new CwmError(answer.code, `LMCache server ${label} ${failure}: ${answer.message}`)
    // The adapter's own text is omitted, because it may name keys.
    if (!answer.ok) throw endpoint.badAnswer(call, failure)
  }
}
