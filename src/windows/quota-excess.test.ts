// When a freeze exceeds its salt's quota: 8 GiB are 65,536 tokens at 128 KiB a token.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { WindowRecord } from '../base/records.ts'
import type { KvLink, Placement } from '../kv/kv.ts'
import { KvCosts } from './kv-costs.ts'
import type { WindowParts } from './parts.ts'
import { quotaExcess } from './quota-excess.ts'

const CHUNK_BYTES = 256 * 131_072
const record = { tenant: 'acme', name: 'w' } as WindowRecord

interface Setup {
  readonly quota?: boolean
  readonly known?: boolean
  readonly locate?: () => Promise<Placement>
}

const found = (chunkBytes: number | null): Promise<Placement> =>
  Promise.resolve({ tiers: { total: 1, l1: 1, l2: 1, backends: {} }, restorableTokens: 0, chunkBytes })

async function excessOf(tokens: number, { quota = true, known = true, locate = () => found(null) }: Setup = {}) {
  const costs = new KvCosts()
  if (known) costs.sawChunks('./llama', 256, { chunkBytes: CHUNK_BYTES })
  const parts = {
    costs,
    policyOf: () => ({ kvQuotaGb: 8 }),
    kv: { invalidate: () => {} },
  } as unknown as Pick<WindowParts, 'costs' | 'policyOf' | 'kv'>
  const link = { capabilities: { pin: true, quota }, locate } as unknown as KvLink
  const extent = { chunkSize: 256, chunks: Math.floor(tokens / 256) }
  const sequence = { tokenIds: new Uint32Array(tokens), salt: 's', handle: { engineName: './llama' } }
  return await quotaExcess(parts, record, { link, extent, sequence }, tokens, undefined)
}

describe('quotaExcess', () => {
  it('refuses a window with more whole chunks than the quota holds, with the number', async () => {
    expect(await excessOf(65_536 + 255)).toBeUndefined()

    const excess = await excessOf(65_536 + 256)

    expect(excess).toMatchObject({ code: 'QUOTA_EXCEEDED', param: 'kv_quota_gb' })
    expect(excess?.message).toContain('window w has 65792 tokens, 8.03 GiB of KV')
    expect(excess?.message).toContain('kv_quota_gb is 8, which holds 65536 tokens of this model')
  })

  it('refuses nothing where no server evicts per salt', async () => {
    expect(await excessOf(1_000_000, { quota: false })).toBeUndefined()
  })

  it("learns the bytes of a token from the session's stored chunks", async () => {
    const excess = await excessOf(70_000, { known: false, locate: () => found(CHUNK_BYTES) })

    expect(excess?.code).toBe('QUOTA_EXCEEDED')
  })

  it.each([
    ['nothing of the model is stored yet', () => found(null)],
    ['LMCache does not answer', () => Promise.reject(new CwmError('LMCACHE_UNREACHABLE', 'gone'))],
  ])('refuses nothing if %s', async (_, locate) => {
    expect(await excessOf(1_000_000, { known: false, locate })).toBeUndefined()
  })
})
