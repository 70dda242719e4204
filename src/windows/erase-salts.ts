// Deletes everything under some salts, for orders that name no sequences of token ids.

import { toCwmError } from '../base/errors.ts'
import type { EraseReceipt, KvBackend, KvLink } from '../kv/kv.ts'

const ERASE_DEADLINE_MS = 15_000

/**
 * Returns what was deleted and what is left. Failures of the KV layer are added to `warnings`, and leave the residue unknown. `link`: as
 * `openIfReachable` returns it.
 */
export async function eraseSalts(
  kv: Pick<KvBackend, 'invalidate'>,
  link: KvLink | 'away' | undefined,
  salts: ReadonlySet<string>,
  warnings: string[],
): Promise<Pick<EraseReceipt, 'deletedChunks' | 'residualChunks'>> {
  if (link === undefined || salts.size === 0) return { deletedChunks: 0, residualChunks: 0 }
  if (link === 'away') return { deletedChunks: 0, residualChunks: null }
  try {
    const done = await link.erase({ sequences: [], keep: [], salts, deadlineMs: ERASE_DEADLINE_MS })
    warnings.push(...done.warnings)
    return done
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'INTERNAL') throw error
    kv.invalidate()
    warnings.push(error.message)
    return { deletedChunks: 0, residualChunks: null }
  }
}
