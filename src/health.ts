// Whether engine, LMCache and store answer, for `/cwm/v1/health`. Without LMCache or store chats go on: that is degraded, not down.

import { toCwmError } from './base/errors.ts'
import type { Store } from './base/store.ts'
import type { LmcacheLink } from './lmcache/link.ts'
import type { GuardedUpstream } from './upstream/guarded-upstream.ts'
import { callJson } from './upstream/json.ts'
import { version } from './version.ts'

const HEALTH_DEADLINE_MS = 3_000
/** Any question will do. */
const NOBODY = 'nobody'

/** Asks all three; what does not answer is said, not thrown. */
export async function readHealth(
  upstream: Pick<GuardedUpstream, 'breaker' | 'health'>,
  lmcache: LmcacheLink,
  store: Pick<Store, 'kind' | 'getSession'>,
) {
  const engine = await callJson(upstream.health, {
    method: 'GET',
    path: '/v1/models',
    apiKey: undefined,
    deadlineMs: HEALTH_DEADLINE_MS,
  }).then(
    // 401 is an answer: the engine is there and wants a key.
    ({ status }) => (status < 500 ? { ok: true } : { ok: false, error: `status ${status}` }),
    (thrown: unknown) => ({ ok: false, error: toCwmError(thrown).code.toLowerCase() }),
  )
  const link = await lmcache.open().then(
    (found) => (found === undefined ? undefined : found.topology),
    () => null,
  )
  const kv =
    link === undefined
      ? { ok: null, pins: false, warnings: [] }
      : link === null
        ? { ok: false, pins: false, warnings: ['LMCache does not answer'] }
        : { ok: link.warnings.length === 0, pins: link.pins, warnings: [...link.warnings] }
  const stored = await store.getSession(NOBODY, NOBODY).then(
    () => true,
    () => false,
  )
  const status = engine.ok && kv.ok !== false && stored ? ('ok' as const) : ('degraded' as const)
  return {
    status,
    version,
    store: { kind: store.kind, ok: stored },
    upstream: { ...engine, breaker: upstream.breaker },
    lmcache: kv,
  }
}
