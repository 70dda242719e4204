// Builds a running cwm from the settings, and shuts it down in order.

import { getRequestListener } from '@hono/node-server'
import { Admission } from '../admission/admission.ts'
import { BodyBudget } from '../admission/body-budget.ts'
import { createApi } from '../api/api.ts'
import type { Bindings } from '../api/bindings.ts'
import { callInProcess } from '../api/in-process.ts'
import { openApiText } from '../api/openapi.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import { JsonBodies } from '../base/json-bodies.ts'
import type { Logger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { RequestScope } from '../base/request-scope.ts'
import { version } from '../base/version.ts'
import { describeMemoryBudgets, memoryBudgets, readMemoryLimits } from '../config/memory.ts'
import { policiesOf } from '../config/policies.ts'
import type { Settings } from '../config/schema.ts'
import { createDashboard } from '../dashboard/dashboard.tsx'
import { FleetOfOne } from '../engines/fleet.ts'
import { TokenScales } from '../engines/token-scale.ts'
import { Audit } from '../journal/audit.ts'
import { EventLog } from '../journal/events.ts'
import { BUCKET_MS, Timeline } from '../journal/timeline.ts'
import { LmcacheBackend } from '../kv/lmcache/backend.ts'
import { LmcacheConnector } from '../kv/lmcache/connector.ts'
import { noKv } from '../kv/none/none.ts'
import { SaltQuotas } from '../kv/quotas.ts'
import { createMcp } from '../mcp/http.ts'
import { AutoBudget } from '../near-limit/auto-budget.ts'
import { AutoFreezer } from '../near-limit/auto-freeze.ts'
import { AutoFreezeRunner } from '../near-limit/auto-freeze-runner.ts'
import { BlockScales } from '../near-limit/block-scales.ts'
import { CutFreezer } from '../near-limit/cut-freeze.ts'
import { KnownSizes } from '../near-limit/known-sizes.ts'
import { BreakFinder } from '../prefix-break/break-finder.ts'
import { Heartbeats } from '../proxy/heartbeats.ts'
import { ProxyHandler } from '../proxy/proxy.ts'
import { defaultRoutes } from '../proxy/routes.ts'
import { HealthCheck } from '../server/health.ts'
import { ReadinessCheck } from '../server/readiness.ts'
import { listen } from '../server/server.ts'
import { shutDown } from '../server/shutdown.ts'
import { Lineages } from '../sessions/lineages.ts'
import { NewestSessions } from '../sessions/newest.ts'
import { RecentCalls } from '../sessions/recent-calls.ts'
import { RetainedTurns } from '../sessions/retained.ts'
import { SessionTracker } from '../sessions/tracker.ts'
import { Callers } from '../tenants/callers.ts'
import { TenantOverrides } from '../tenants/overrides.ts'
import { Tenants } from '../tenants/tenants.ts'
import { TurnRunner } from '../turn/runner.ts'
import { StoredResponses } from '../turn/stored-responses.ts'
import { AutoThaw } from '../windows/auto-thaw.ts'
import { orderLineageCleanup } from '../windows/deletion-orders.ts'
import { Deletions } from '../windows/deletions.ts'
import { endIdleSessions } from '../windows/idle-sessions.ts'
import type { DeletionParts, WindowParts } from '../windows/parts.ts'
import { Reconciler } from '../windows/reconcile.ts'
import { toRetainedPrompt } from '../windows/turn-prompt.ts'
import { Windows } from '../windows/windows.ts'
import { every } from './background.ts'
import { discoverUpstream } from './discovery.ts'
import { openEngine } from './open-engine.ts'
import { openStore } from './open-store.ts'
import { TotalUsage } from './total-usage.ts'
import { turnObservers } from './turn-observers.ts'

export interface App {
  readonly url: string
  /** Startup messages about what was detected, one per line. */
  readonly findings: readonly string[]
  /** Lets current answers and freezes finish for up to `drain_ms`, then stops everything and writes pending data. */
  close(): Promise<void>
}

/** Long, because a warm call may prefill a whole window. */
const WARM_DEADLINE_MS = 1_800_000
/** LMCache normally answers within a tenth of a second. */
const AUTO_THAW_WAIT_MS = 2_000
const SWEEP_INTERVAL_MS = 60_000
const DROPPED_PER_SWEEP = 10_000
/** Long, because each run scans a Redis store, and only a proxy that still uses the previous key can have added anything since the last one. */
const RESEAL_INTERVAL_MS = 600_000
const RESEALED_AT_ONCE = 100

/** Rejects when `stop` aborts. Discovery can take many seconds if the engine does not answer. */
async function unlessStopped<T>(work: Promise<T>, stop: AbortSignal | undefined): Promise<T> {
  if (stop === undefined) return await work
  return await new Promise<T>((resolve, reject) => {
    const end = () => reject(new CwmError('SHUTTING_DOWN', 'cwm was stopped while it started'))
    if (stop.aborted) end()
    else stop.addEventListener('abort', end, { once: true })
    work.then(resolve, reject).finally(() => stop.removeEventListener('abort', end))
  })
}

/** Divides `tracking_bytes` among the caches. Sessions get the most, because a miss there costs a read of the store. */
function sharesOf(bytes: number) {
  const part = Math.floor(bytes / 16)
  return { sessions: 10 * part, histories: 4 * part, sizes: part, newest: part }
}

/**
 * Starts cwm. Throws `CONFIG` with instructions for problems that an operator must fix, and `SHUTTING_DOWN` if the signal aborts. In both
 * cases everything is closed again.
 */
export async function startApp(settings: Settings, log: Logger, stop?: AbortSignal): Promise<App> {
  const now = () => Date.now()
  const memoryLimits = readMemoryLimits()
  const memory = memoryBudgets(settings, memoryLimits)
  const { store, deriver, finding, close: closeStore } = await openStore(settings, log)
  const closers: (() => Promise<void> | void)[] = [closeStore]
  const closeAll = async () => {
    for (const close of closers.reverse()) {
      // A failure to close one part must not keep the others open, least of all the store.
      try {
        await close()
      } catch (thrown) {
        log.error({ err: toCwmError(thrown) }, 'something did not close as it should')
      }
    }
  }
  try {
    const metrics = createMetrics((model) => engine.models.isServed(model))
    metrics.build.set({ version, node: process.versions.node }, 1)
    const totalUsage = new TotalUsage(store, now)
    metrics.watchUsage(() => totalUsage.read())
    const engine = openEngine(settings, { metrics, log, now }, WARM_DEADLINE_MS)
    closers.push(() => engine.close())
    const fleet = new FleetOfOne(engine)
    const audit = new Audit({ store, metrics, log, now, keep: settings.audit_keep })
    closers.push(() => audit.settle())
    const events = new EventLog({ store, metrics, log, now, keep: settings.events_keep })
    closers.push(() => events.settle())
    const lmcache = new LmcacheConnector({
      coordinatorUrl: settings.coordinator,
      lmcacheUrl: settings.lmcache,
      timeoutMs: settings.lmcache_timeout_ms,
      now,
      log,
    })
    const kv = lmcache.configured ? new LmcacheBackend(lmcache, now) : noKv
    const tracking = sharesOf(memory.tracking_bytes)
    const sessions = new SessionTracker({
      store,
      now,
      maxSessionBytes: tracking.sessions,
      maxHistoryBytes: tracking.histories,
      boundaryTtlMs: settings.boundary_ttl_ms,
      responseTtlMs: settings.response_ttl_ms,
      onLate: (session) => {
        orderLineageCleanup({ store, now }, session).catch((thrown: unknown) => {
          log.error({ session: session.id, err: toCwmError(thrown) }, 'what a late turn left is not ordered to go')
        })
      },
    })
    closers.push(() => sessions.close())
    const { defaults, tenants: listed } = policiesOf(settings)
    const tenants = new Tenants(defaults, listed)
    const retained = new RetainedTurns({
      retain: settings.retain,
      maxBytes: memory.retain_bytes,
      store,
      promptOf: toRetainedPrompt,
      log,
      now,
    })
    closers.push(() => retained.settle())
    const kvEpoch = settings.kv_epoch
    const saltOf: WindowParts['saltOf'] = (space) => deriver.salt(space)
    const quotas = new SaltQuotas({ kv, log, now })
    const windowParts: WindowParts = {
      store,
      fleet,
      kv,
      log,
      metrics,
      audit,
      events,
      now,
      saltOf,
      quotas,
      kvEpoch,
      policyOf: (tenant) => tenants.policyOf(tenant),
      verifyDeadlineMs: settings.verify_deadline_ms,
      maxBaseBytes: memory.base_window_bytes,
    }
    const windows = new Windows(windowParts, sessions)
    const deletionParts: DeletionParts = {
      ...windowParts,
      sessions,
      retained,
      apiKey: settings.upstream_api_key,
      retryMs: settings.deletion_retry_ms,
    }
    const deletions = new Deletions(deletionParts, windows)
    const budget = new AutoBudget({ store, deletions, log })
    const freezes = new AutoFreezeRunner({ windows, budget, sessions, metrics, log })
    const callers = new Callers(deriver, tenants, {
      operatorKey: settings.operator_key,
      upstreamApiKey: settings.upstream_api_key,
    })
    const sizes = new KnownSizes(tracking.sizes)
    const autoFreezer = new AutoFreezer({ freezes, windows, now, cooldownMs: settings.freeze_cooldown_ms })
    const newest = new NewestSessions(tracking.newest)
    const calls = new RecentCalls(now)
    const choices = new TenantOverrides(store, now)
    const timeline = new Timeline(now)
    const breaks = new BreakFinder({ retained, newest, sessions, events, log, metrics, now })
    closers.push(() => breaks.settle())
    const admission = new Admission(
      { maxInFlight: settings.max_in_flight, maxQueued: settings.max_queued, queueMs: settings.queue_ms },
      metrics,
      now,
    )
    const json = new JsonBodies({
      maxValues: settings.max_body_values,
      maxMembers: settings.max_object_members,
      maxMessages: settings.max_messages,
    })
    const bodies = new BodyBudget(memory.max_body_bytes_in_all, metrics)
    const responses = new StoredResponses(sessions)
    const runner = new TurnRunner({
      sessions,
      responses,
      windows,
      fleet,
      json,
      quotas,
      kvEpoch,
      saltOf,
      engineSessionOf: (tenant, lineage) => deriver.engineSession(tenant, lineage),
      scales: new TokenScales(),
      blocks: new BlockScales(now),
      sizes,
      cutFreezer: new CutFreezer({ freezes, windows, retained, store, events, metrics, log, now }),
      autoThaw: new AutoThaw({
        windows,
        metrics,
        log,
        now,
        afterMs: settings.thaw_after_ms,
        waitMs: AUTO_THAW_WAIT_MS,
      }),
      observers: turnObservers({ timeline, calls, sizes, breaks, retained, autoFreezer }),
      events,
      metrics,
      log,
      now,
    })
    const proxy = new ProxyHandler(
      {
        runner,
        responses,
        fleet,
        admission,
        bodies,
        json,
        choices,
        heartbeats: settings.heartbeat_ms === 0 ? undefined : new Heartbeats(settings.heartbeat_ms),
        metrics,
        log,
        now,
      },
      {
        routes: {
          salted: { ...defaultRoutes.salted, ...settings.routes.salted },
          plain: { ...defaultRoutes.plain, ...settings.routes.plain },
        },
        maxBodyBytes: memory.max_body_bytes,
        maxUnpackedRatio: settings.max_unpacked_ratio,
        preserveHost: settings.preserve_host,
        upstreamApiKey: settings.upstream_api_key ?? (tenants.areListed ? null : undefined),
        answer: { maxHeldBytes: settings.max_held_bytes, maxObservedBytes: settings.max_observed_bytes },
        maxObservedBytesInAll: memory.max_observed_bytes_in_all,
        maxPreflights: settings.max_preflights,
      },
    )
    const lineages = new Lineages(store)
    const readiness = new ReadinessCheck(store, engine)
    const health = new HealthCheck({ engine, lmcache: kv, store, now })
    const mcp = createMcp(version)
    const api = createApi({
      windows,
      deletions,
      sessions,
      retained,
      store,
      audit,
      events,
      calls,
      choices,
      timeline,
      bucketMs: BUCKET_MS,
      mcp: (request, rest) => mcp.handle(request, rest),
      metrics,
      log,
      now,
      version,
      maxBodyBytes: memory.max_body_bytes,
      json,
      holdBody: (tenant, response, bytes) => bodies.open(tenant, RequestScope.of(response)).set(bytes),
      beginLineage: (tenant) =>
        lineages.begin({ tenant, isolation: tenants.policyOf(tenant).isolation, user: undefined }),
      callerOf: (request) => callers.forRest(request),
      tenants,
      tenantInView: (request) => callers.tenantInView(request),
      listAudit: (tenant, page) => audit.list(tenant, page),
      requireOperator: (request) => callers.requireOperator(request),
      health: () => health.read(),
      readiness: (leftOut) => readiness.read(leftOut),
    })
    if (settings.dashboard) {
      const callRest = (env: Bindings['Bindings']) => callInProcess(api.fetch, env)
      const loginKey = deriver.key('dashboard login')
      const openApi = () => openApiText(api, version)
      api.route('/', createDashboard({ loginKey, callRest, fetch: api.fetch, openApi, now, log }))
      for (const path of ['/cwm', '/cwm/', '/cwm/ui/']) api.get(path, (c) => c.redirect('/cwm/ui', 302))
    }
    const apiListener = getRequestListener(api.fetch, { hostname: 'localhost' })

    const found = await unlessStopped(discoverUpstream({ settings, engine, lmcache, store: finding }), stop)
    const findings = [...found, describeMemoryBudgets(settings, memoryLimits)]
    const reconciler = new Reconciler(windowParts, windows, settings.upstream_api_key)
    const stopping = new AbortController()
    const { signal } = stopping
    const sweep = async () => {
      await sessions.sweep()
      await store.dropDeletions(now() - settings.deletion_keep_ms, DROPPED_PER_SWEEP)
      const idle = { lastingMs: settings.session_ttl_ms, passingMs: settings.boundary_ttl_ms }
      await endIdleSessions(windowParts, deletions, idle, signal)
    }
    const reseal = async () => {
      while (!signal.aborted && (await store.reseal(RESEALED_AT_ONCE)) > 0);
    }
    const door = await listen({
      host: settings.host,
      port: settings.port,
      allowedHosts: settings.allowed_hosts,
      limits: {
        maxHeaderBytes: settings.max_header_bytes,
        maxHeaders: settings.max_headers,
        requestHeadersTimeoutMs: settings.request_headers_timeout_ms,
        bodyTimeoutMs: settings.body_timeout_ms,
        keepAliveMs: settings.keep_alive_ms,
        clientStallMs: settings.client_stall_ms,
      },
      onStalledClient: () => metrics.stalledClients.inc(),
      hasDashboard: settings.dashboard,
      proxy: (request, response) => void proxy.handle(request, response, (incoming) => callers.identify(incoming)),
      api: (request, response) => void apiListener(request, response),
    })
    const tasks = [
      every({ intervalMs: settings.reconcile_interval_ms, atOnce: true, run: (s) => reconciler.run(s) }, signal, log),
      every({ intervalMs: settings.deletion_retry_ms, atOnce: true, run: (s) => deletions.run(s) }, signal, log),
      every({ intervalMs: SWEEP_INTERVAL_MS, atOnce: true, run: sweep }, signal, log),
      every({ intervalMs: RESEAL_INTERVAL_MS, atOnce: true, run: reseal }, signal, log),
    ]
    const close = async () => {
      readiness.drain()
      await shutDown({
        server: door,
        engine,
        drainDelayMs: settings.drain_delay_ms,
        drainMs: settings.drain_ms,
        stopLongRunning: () => {
          events.closeSubscriptions()
          mcp.close()
          stopping.abort()
        },
        settle: () => Promise.all([...tasks, freezes.settle(), windows.settle()]),
        log,
      })
      await closeAll()
    }
    return { url: door.url, findings, close }
  } catch (error) {
    await closeAll()
    throw error
  }
}
