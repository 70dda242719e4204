// Wires everything once: from settings to a running cwm, and back to nothing in order.

import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { createApi } from './api/api.ts'
import { CwmError, toCwmError } from './base/errors.ts'
import type { Logger } from './base/logger.ts'
import { createMetrics } from './base/metrics.ts'
import type { Settings } from './config/schema.ts'
import { discoverUpstream } from './discovery.ts'
import { LmcacheLink } from './lmcache/link.ts'
import { ProxyHandler } from './proxy/proxy.ts'
import { defaultRoutes } from './proxy/routes.ts'
import { closeServer, listen } from './server.ts'
import { Callers } from './sessions/callers.ts'
import { behindWindowMark, chainOf } from './sessions/chain.ts'
import { RetainedTurns } from './sessions/retained.ts'
import { KeyDeriver } from './sessions/salt.ts'
import { scopeOf } from './sessions/scope.ts'
import { loadSecret } from './sessions/secret.ts'
import { SessionTracker } from './sessions/tracker.ts'
import { openSqliteStore } from './store/sqlite.ts'
import { Engine } from './upstream/engine.ts'
import { incomingHeaders, outgoingHeaders } from './upstream/headers.ts'
import { callJson } from './upstream/json.ts'
import { EngineModels } from './upstream/models.ts'
import { Upstream } from './upstream/upstream.ts'
import { version } from './version.ts'
import type { WindowParts } from './windows/parts.ts'
import { Reconciler } from './windows/reconcile.ts'
import { Windows } from './windows/windows.ts'

export interface App {
  readonly url: string
  /** What was found at start, a line each, for whoever started it. */
  readonly findings: readonly string[]
  /** Lets answers under way end for `drain_ms`, then ends everything and writes all that is to be written. */
  close(): Promise<void>
}

/** A warm call prefills a whole window. */
const WARM_DEADLINE_MS = 1_800_000
const SWEEP_INTERVAL_MS = 60_000

/** Starts cwm. Throws `CONFIG` for what an operator must mend, with the words to do it. */
export async function startApp(settings: Settings, log: Logger): Promise<App> {
  const now = () => Date.now()
  await makeDataDir(settings.data_dir)
  const storePath = join(settings.data_dir, 'cwm.sqlite')
  if (settings.secret === undefined && existsSync(storePath) && !existsSync(join(settings.data_dir, 'secret'))) {
    throw new CwmError(
      'CONFIG',
      `${settings.data_dir} holds a store and no secret: give the secret back (the file "secret", or CWM_SECRET), or choose another data_dir`,
      { param: 'secret' },
    )
  }
  const { secret, from: secretFrom } = await loadSecret(settings.secret, settings.data_dir)
  const deriver = new KeyDeriver(secret)
  const store = await openSqliteStore({ path: storePath, log })
  const closers: (() => Promise<void> | void)[] = [() => store.close()]
  const closeAll = async () => {
    for (const close of closers.reverse()) await close()
  }
  try {
    if ((await store.claimMeta('secret_check', deriver.checkValue())) !== deriver.checkValue()) {
      throw new CwmError(
        'CONFIG',
        `the secret is not the one that ${storePath} was made with: its sessions and windows would all be cold. Give the old secret back (CWM_SECRET, or the file "secret"), or choose another data_dir`,
        { param: 'secret' },
      )
    }
    const upstream = new Upstream({
      url: settings.upstream,
      connections: settings.connections,
      connectTimeoutMs: settings.connect_timeout_ms,
      headersTimeoutMs: settings.headers_timeout_ms,
      bodyTimeoutMs: settings.stream_timeout_ms,
    })
    const metrics = createMetrics()
    const models = new EngineModels(upstream, now)
    const lmcache = new LmcacheLink({
      coordinatorUrl: settings.coordinator,
      lmcacheUrl: settings.lmcache,
      timeoutMs: settings.lmcache_timeout_ms,
      now,
      log,
    })
    const sessions = new SessionTracker({
      store,
      now,
      maxSessions: settings.sessions_in_memory,
      maxBoundaries: settings.boundaries_in_memory,
      boundaryTtlMs: settings.boundary_ttl_ms,
    })
    const saltOf: WindowParts['saltOf'] = ({ tenant, lineage, model, clientSalt = '' }) =>
      deriver.salt({ tenant, lineage, model, kvEpoch: settings.kv_epoch, clientSalt })
    const windowParts: WindowParts = {
      store,
      engine: new Engine(upstream, WARM_DEADLINE_MS),
      models,
      lmcache,
      log,
      metrics,
      now,
      saltOf,
      verifyDeadlineMs: settings.verify_deadline_ms,
      maxBaseBytes: settings.base_window_bytes,
    }
    const windows = new Windows(windowParts)
    const retained = new RetainedTurns(settings.retain_bytes)
    const callers = new Callers(deriver, settings.operator_key)
    const proxy = new ProxyHandler(
      {
        sessions,
        windows,
        retained,
        models,
        metrics,
        log,
        now,
        upstream,
        outgoingHeaders,
        incomingHeaders,
        saltOf,
        chainOf: (scope, messages, rules) => chainOf(scope, messages, (message) => rules.canonical(message)),
        behindWindowMark,
        scopeOf: (tenant, rules, request, body) => scopeOf(tenant, rules.dialect, request.headers, body),
      },
      {
        routes: {
          salted: { ...defaultRoutes.salted, ...settings.routes.salted },
          plain: { ...defaultRoutes.plain, ...settings.routes.plain },
        },
        maxBodyBytes: settings.max_body_bytes,
        allowedFields: new Set(settings.allowed_fields.map((name) => name.toLowerCase())),
        preserveHost: settings.preserve_host,
        upstreamApiKey: settings.upstream_api_key,
        answer: { maxHeldBytes: settings.max_held_bytes, maxObservedBytes: settings.max_observed_bytes },
        maxObservedBytesInAll: settings.max_observed_bytes_in_all,
      },
    )
    const api = createApi({
      windows,
      sessions,
      retained,
      metrics,
      log,
      version,
      identify: (request) => callers.identify(request),
      requireOperator: (request) => callers.requireOperator(request),
      upstreamApiKey: settings.upstream_api_key,
      health: () => readHealth(upstream, lmcache, store.kind),
    })
    const apiListener = getRequestListener(api.fetch)

    const findings = await discoverUpstream({ settings, models, lmcache, secretFrom, storePath })
    const reconciler = new Reconciler(windowParts, windows, settings.upstream_api_key)
    const stopping = new AbortController()
    const tasks = [
      every(settings.reconcile_interval_ms, stopping.signal, true, () => reconciler.run(stopping.signal), log),
      every(SWEEP_INTERVAL_MS, stopping.signal, false, () => sessions.sweep(), log),
    ]
    closers.push(async () => {
      stopping.abort()
      const over = Promise.all([...tasks, windows.settle()])
      await Promise.race([over, sleep(settings.drain_ms)])
      // A warm call may prefill for minutes: without its engine the freeze fails now, and gives back its pin and its name.
      await upstream.close()
      await Promise.race([over, sleep(settings.drain_ms)])
    })

    const { server, url } = await listen({
      host: settings.host,
      port: settings.port,
      allowedHosts: settings.allowed_hosts,
      maxHeaderBytes: settings.max_header_bytes,
      bodyTimeoutMs: settings.body_timeout_ms,
      proxy: (request, response) => void proxy.handle(request, response, (incoming) => callers.identify(incoming)),
      api: (request, response) => void apiListener(request, response),
    })
    closers.push(() => closeServer(server, settings.drain_ms))
    return { url, findings, close: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function makeDataDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new CwmError('CONFIG', `the data directory ${path} cannot be made`, { param: 'data_dir', cause })
  }
}

/** Runs a task again and again until the signal; one run at a time. Its failures are logged and end nothing. */
async function every(
  intervalMs: number,
  signal: AbortSignal,
  atOnce: boolean,
  task: () => Promise<unknown>,
  log: Logger,
): Promise<void> {
  for (let first = true; !signal.aborted; first = false) {
    if (!first || atOnce) {
      try {
        await task()
      } catch (thrown) {
        log.error({ err: toCwmError(thrown) }, 'a task in the background failed; it runs again')
      }
    }
    await sleep(intervalMs, signal)
  }
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    timer.unref()
    signal?.addEventListener('abort', done)
  })
}

const HEALTH_DEADLINE_MS = 3_000

async function readHealth(upstream: Upstream, lmcache: LmcacheLink, store: string) {
  const engine = await callJson(upstream, {
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
  const status = engine.ok && kv.ok !== false ? ('ok' as const) : ('degraded' as const)
  return { status, version, store, upstream: engine, lmcache: kv }
}
