// Libraries of a running cwm.

import { TokenScales } from '../engines/token-scale.ts'
import { Libraries } from '../libraries/libraries.ts'
import { PartCutter } from '../libraries/part-cutter.ts'
import type { Core } from './core.ts'
import type { Start } from './start.ts'

/** Before a window that could not be frozen is tried again: an engine is seldom back sooner. */
const RETRY_MS = 500
/** A freeze normally takes a second or two. */
const SETTLE_MS = 20_000

export function createLibraries({ live, log, now }: Start, core: Core): Libraries {
  const { fleet, deriver, tenants } = core
  return new Libraries({
    ...core,
    cutter: new PartCutter({ fleet, scales: new TokenScales() }),
    policyOf: (tenant) => tenants.policyOf(tenant),
    log,
    now,
    nameKey: deriver.key('library parts'),
    apiKey: () => live.current.upstream_api_key,
    retryMs: RETRY_MS,
    settleMs: SETTLE_MS,
  })
}
