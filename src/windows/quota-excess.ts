// If LMCache evicts per salt, a window larger than its salt's quota loses chunks while it is computed. Such a freeze is rejected before
// anything is computed, with the limit in tokens.

import { CwmError, toCwmError } from '../base/errors.ts'
import type { WindowRecord } from '../base/records.ts'
import type { KvExtent, KvLink, KvSequence } from '../kv/kv.ts'
import type { WindowParts } from './parts.ts'

const GIB = 1024 ** 3

/** What is known about the window's KV. */
interface PlannedKv {
  readonly link?: KvLink
  readonly extent?: KvExtent
  readonly sequence?: KvSequence
}

/**
 * `QUOTA_EXCEEDED` if the window alone exceeds its salt's quota. Undefined if it fits, if no server evicts per salt, or if nothing has shown
 * yet how many bytes a token of this model takes.
 */
export async function quotaExcess(
  parts: Pick<WindowParts, 'costs' | 'policyOf' | 'kv'>,
  { tenant, name }: WindowRecord,
  { link, extent, sequence }: PlannedKv,
  tokens: number,
  signal: AbortSignal | undefined,
): Promise<CwmError | undefined> {
  if (link?.capabilities.quota !== true || extent === undefined || sequence === undefined) return undefined
  const bytes = await bytesPerToken(parts, link, extent, sequence, signal)
  if (bytes === undefined) return undefined
  const quotaGib = parts.policyOf(tenant).kvQuotaGb
  const most = Math.floor((quotaGib * GIB) / bytes)
  // Whole chunks only are stored.
  if (extent.chunks * extent.chunkSize <= most) return undefined
  const size = `${tokens} tokens, ${((tokens * bytes) / GIB).toFixed(2)} GiB of KV`
  return new CwmError(
    'QUOTA_EXCEEDED',
    `window ${name} has ${size}, and LMCache evicts KV beyond the quota of a salt: kv_quota_gb is ${quotaGib}, which holds ${most} tokens of this model. Freeze fewer messages, or raise kv_quota_gb`,
    { param: 'kv_quota_gb' },
  )
}

/** The measured number, or else that of the session's stored chunks. */
async function bytesPerToken(
  { costs, kv }: Pick<WindowParts, 'costs' | 'kv'>,
  link: KvLink,
  { chunkSize }: KvExtent,
  sequence: KvSequence,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const { engineName } = sequence.handle
  const known = costs.bytesPerToken(engineName)
  if (known !== undefined) return known
  try {
    costs.sawChunks(engineName, chunkSize, await link.locate(sequence, signal))
  } catch (thrown) {
    if (signal?.aborted === true || toCwmError(thrown).code === 'INTERNAL') throw thrown
    kv.invalidate()
  }
  return costs.bytesPerToken(engineName)
}
