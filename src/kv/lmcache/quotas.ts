// Quotas of salts: an L2 adapter that evicts by IsolatedLRU stores only salts with a quota. Quotas are written to every server that requires
// them, and to the coordinator, which accounts for the fleet.

import { CwmError } from '../../base/errors.ts'
import type { Fleet } from './fleet.ts'
import type { Call, Endpoint } from './http.ts'
import { quotaSchema } from './schemas.ts'
import { answerOrFailure } from './server-facts.ts'

export interface QuotaResult {
  /** Every required server accepted it. */
  readonly complete: boolean
  /** The servers that did not, as text without the salt. */
  readonly failures: readonly string[]
}

/** Stands for the empty salt in paths: docs/engine-behavior.md#empty-salt. */
const emptySalt = '_default'

/**
 * Sets the bytes that a salt may hold, in GiB, or removes its quota (`undefined`). Throws `NOT_SUPPORTED` for a salt that the quota API cannot
 * name (it treats `_default` and the empty salt alike), and on abort.
 */
export async function changeQuota(
  { coordinator, servers }: Fleet,
  salt: string,
  limitGb: number | undefined,
  signal?: AbortSignal,
): Promise<QuotaResult> {
  if (salt === '' || salt === emptySalt)
    throw new CwmError('NOT_SUPPORTED', 'LMCache cannot hold a quota for this salt')
  const failures: string[] = []
  const send = async (endpoint: Endpoint) => {
    const answer = await answerOrFailure(endpoint.call(quotaCall(salt, limitGb, signal)), signal)
    if (answer instanceof CwmError) failures.push(answer.message)
  }
  // Unknown counts as requiring one: an extra quota does no harm, a missing one wipes the salt.
  const requiring = servers.filter((server) => server.isolatedLru !== false)
  const silent = requiring.filter((server) => !server.reachable)
  failures.push(...silent.map(({ label }) => `LMCache server ${label} is not reachable`))
  await Promise.all([
    ...(coordinator === undefined ? [] : [send(coordinator)]),
    ...requiring.filter((server) => server.reachable).map((server) => send(server.endpoint)),
  ])
  return { complete: failures.length === 0, failures }
}

function quotaCall(
  salt: string,
  limitGb: number | undefined,
  signal: AbortSignal | undefined,
): Call<{ status: string }> {
  return {
    method: limitGb === undefined ? 'DELETE' : 'PUT',
    path: `/quota/${encodeURIComponent(salt)}`,
    shownPath: '/quota/…',
    ...(limitGb === undefined ? {} : { body: JSON.stringify({ limit_gb: limitGb }) }),
    schema: quotaSchema,
    signal,
  }
}
