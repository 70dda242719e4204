// Opens a KV layer for work that can proceed without it.

import { toCwmError } from '../base/errors.ts'
import type { KvBackend, KvLink } from './kv.ts'

/**
 * Opens a link. `away`: a KV layer is configured but does not answer, so its KV is unknown, not absent; the reason is added to `warnings`.
 * Undefined: there is no KV layer. Never throws.
 */
export async function openIfReachable(
  kv: Pick<KvBackend, 'open'>,
  warnings: string[],
): Promise<KvLink | 'away' | undefined> {
  try {
    return await kv.open()
  } catch (thrown) {
    warnings.push(toCwmError(thrown).message)
    return 'away'
  }
}
