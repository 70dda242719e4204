// What a running cwm does by itself: follow its engines, finish interrupted freezes, delete what was ordered, end idle sessions, re-encrypt rows.

import { endIdleSessions } from '../windows/idle-sessions.ts'
import { Reconciler } from '../windows/reconcile.ts'
import { every } from './background.ts'
import type { Services } from './services.ts'
import type { Start } from './start.ts'

const SWEEP_INTERVAL_MS = 60_000
const DROPPED_PER_SWEEP = 10_000
/** Long, because each run scans a Redis store, and only a proxy that still uses the previous key can have added anything since the last one. */
const RESEAL_INTERVAL_MS = 600_000
const RESEALED_AT_ONCE = 100
/** Another proxy's drain is usually known at once, by the store's notice. */
const DRAINS_INTERVAL_MS = 5_000

/** Starts the tasks. They run until the signal aborts; each promise resolves when the last run of its task has finished. */
export function startTasks(
  { settings, live, log, now }: Start,
  services: Services,
  signal: AbortSignal,
): Promise<void>[] {
  const { store, sessions, deletions, windows, windowParts } = services
  const reconciler = new Reconciler(windowParts, windows, () => live.current.upstream_api_key)
  const sweep = async () => {
    await sessions.sweep()
    await store.dropDeletions(now() - settings.deletion_keep_ms, DROPPED_PER_SWEEP)
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
    every({ intervalMs: SWEEP_INTERVAL_MS, atOnce: true, run: sweep }, signal, log),
    every({ intervalMs: RESEAL_INTERVAL_MS, atOnce: true, run: reseal }, signal, log),
  ]
}

/** With a single engine there are none. */
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
