// Background tasks of a running cwm: follow its engines and keep idle ones awake, finish interrupted freezes, carry out deletions, continue
// libraries, end idle sessions, store the ledger, follow API keys, re-encrypt rows.

import { FLUSH_MS } from '../ledger/ledger.ts'
import { SYNC_MS, USES_MS } from '../tenants/stored-keys.ts'
import { endIdleSessions } from '../windows/idle-sessions.ts'
import { KeepAwake } from '../windows/keep-awake.ts'
import { Reconciler } from '../windows/reconcile.ts'
import { every } from './background.ts'
import type { Services } from './services.ts'
import type { Start } from './start.ts'

const SWEEP_INTERVAL_MS = 60_000
const DROPPED_PER_SWEEP = 10_000
/** Long, because each run scans a Redis store, and only a proxy that still uses the previous key can have added anything since the last one. */
const RESEAL_INTERVAL_MS = 600_000
const RESEALED_AT_ONCE = 100
/** How soon a library is continued whose proxy has stopped, beside the half minute until its lease expires. */
const LIBRARIES_INTERVAL_MS = 15_000
/** Only a fallback: the store usually notifies other proxies of a drain at once. */
const DRAINS_INTERVAL_MS = 5_000

/** Starts the tasks. They run until the signal aborts; each promise resolves when the last run of its task has finished. */
export function startTasks(start: Start, services: Services, signal: AbortSignal): Promise<void>[] {
  const { settings, live, log, now } = start
  const { store, sessions, deletions, windows, windowParts, libraries, ledger } = services
  const reconciler = new Reconciler(windowParts, windows, () => live.current.upstream_api_key)
  const sweep = async () => {
    await sessions.sweep()
    await store.dropDeletions(now() - settings.deletion_keep_ms, DROPPED_PER_SWEEP)
    await store.dropOldLedger(now(), settings.usage_keep_ms)
    const idle = { lastingMs: settings.session_ttl_ms, passingMs: settings.boundary_ttl_ms }
    await endIdleSessions(windowParts, deletions, idle, signal)
  }
  const reseal = async () => {
    while (!signal.aborted && (await store.reseal(RESEALED_AT_ONCE)) > 0);
  }
  return [
    ...engineTasks(settings.dns_interval_ms, services, signal, log),
    every({ intervalMs: settings.reconcile_interval_ms, atOnce: true, run: (s) => reconciler.run(s) }, signal, log),
    every({ intervalMs: settings.deletion_retry_ms, atOnce: true, run: (s) => deletions.run(s) }, signal, log),
    every({ intervalMs: LIBRARIES_INTERVAL_MS, atOnce: true, run: () => libraries.run() }, signal, log),
    every({ intervalMs: SWEEP_INTERVAL_MS, atOnce: true, run: sweep }, signal, log),
    every({ intervalMs: RESEAL_INTERVAL_MS, atOnce: true, run: reseal }, signal, log),
    every({ intervalMs: FLUSH_MS, run: () => ledger.flush() }, signal, log),
    ...keyTasks(services, signal, log),
    ...keepAwake(start, services, signal),
  ]
}

/** None for a single engine. */
function engineTasks(
  dnsIntervalMs: number,
  { source, drains, engineWatch }: Pick<Services, 'source' | 'drains' | 'engineWatch'>,
  signal: AbortSignal,
  log: Start['log'],
): Promise<void>[] {
  if (source === undefined) return []
  const follow = async () => {
    await drains.sync()
    engineWatch.reportDrained()
  }
  return [
    every({ intervalMs: dnsIntervalMs, run: (s) => source.refresh(s) }, signal, log),
    every({ intervalMs: DRAINS_INTERVAL_MS, run: follow }, signal, log),
  ]
}

function keyTasks({ store, storedKeys }: Services, signal: AbortSignal, log: Start['log']): Promise<void>[] {
  const tasks = [every({ intervalMs: USES_MS, run: () => storedKeys.storeUses() }, signal, log)]
  if (store.maxStalenessMs === Number.POSITIVE_INFINITY) return tasks
  // During an outage, the store itself reports that it does not answer: once, not each second.
  const sync = () => storedKeys.sync().catch(() => {})
  return [...tasks, every({ intervalMs: SYNC_MS, run: sync }, signal, log)]
}

/** None without LMCache, or if `keep_awake_ms` is 0. */
function keepAwake({ settings, live, metrics, log, now }: Start, services: Services, signal: AbortSignal) {
  const { store, fleet, kv, lmcache, deriver } = services
  const { keep_awake_ms: intervalMs } = settings
  if (intervalMs === 0 || !lmcache.configured) return []
  const salt = deriver.key('keep awake').toString('base64url')
  const apiKey = () => live.current.upstream_api_key
  const awake = new KeepAwake({ fleet, kv, store, metrics, log, now, salt, intervalMs, apiKey })
  return [every({ intervalMs: awake.everyMs, run: (s) => awake.run(s) }, signal, log)]
}
