// Fourth step of the start: what clients, operators and agents reach over HTTP.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { createApi } from '../api/api.ts'
import type { Bindings } from '../api/bindings.ts'
import { ContentAccess } from '../api/content-access.ts'
import { callInProcess } from '../api/in-process.ts'
import { openApiText } from '../api/openapi.ts'
import { createAskChat } from '../ask-chat/ask-chat.ts'
import type { RequestTracer } from '../base/request-trace.ts'
import { version } from '../base/version.ts'
import { createDashboard } from '../dashboard/dashboard.tsx'
import { createDocsSite } from '../docs-site/docs-site.ts'
import { readAffinity } from '../engines/affinity.ts'
import { BUCKET_MS } from '../journal/timeline.ts'
import { reportUsage } from '../ledger/usage-report.ts'
import { createMcp } from '../mcp/http.ts'
import { Heartbeats } from '../proxy/heartbeats.ts'
import { ProxyHandler } from '../proxy/proxy.ts'
import { routesOf } from '../proxy/routes.ts'
import { HealthCheck } from '../server/health.ts'
import { ReadinessCheck } from '../server/readiness.ts'
import { Lineages } from '../sessions/lineages.ts'
import { EngineOperations } from './engine-operations.ts'
import { KeyOperations } from './key-operations.ts'
import type { Reloader } from './reloader.ts'
import type { Services } from './services.ts'
import type { Start } from './start.ts'

export interface Faces {
  readonly proxy: ProxyHandler
  /** Answers everything under `/cwm/`. */
  readonly api: (request: IncomingMessage, response: ServerResponse) => void
  readonly mcp: ReturnType<typeof createMcp>
  readonly readiness: ReadinessCheck
}

type Api = ReturnType<typeof createApi>

export function createFaces(
  start: Start,
  services: Services,
  reloader: Reloader,
  tracer: RequestTracer | undefined,
): Faces {
  const { store, fleet } = services
  const proxy = createProxy(start, services, tracer)
  const readiness = new ReadinessCheck(store, fleet)
  const mcp = createMcp(version)
  const access = new ContentAccess({ operatorReads: start.settings.operator_reads_messages, audit: services.audit })
  const api = createRest(start, services, { readiness, mcp, reloader, access })
  addAskChat(start, services, { api, access })
  if (start.settings.dashboard) addDashboard(start, services, api)
  const listener = getRequestListener(api.fetch, { hostname: 'localhost' })
  return { proxy, api: (request, response) => void listener(request, response), mcp, readiness }
}

function createProxy(
  { settings, live, memory, metrics, log, now }: Start,
  services: Services,
  tracer: RequestTracer | undefined,
): ProxyHandler {
  const heartbeats = settings.heartbeat_ms === 0 ? undefined : new Heartbeats(settings.heartbeat_ms)
  return new ProxyHandler(
    { ...services, heartbeats, tracer, metrics, log, now },
    {
      routes: routesOf({
        ...settings.routes,
        unsalted: settings.unsalted_paths,
        unsaltedByRouter: readAffinity(settings.affinity)?.unsalted,
      }),
      maxBodyBytes: memory.max_body_bytes,
      maxUnpackedRatio: settings.max_unpacked_ratio,
      preserveHost: settings.preserve_host,
      affinityHeaders: services.affinityHeaders,
      get upstreamApiKey() {
        return live.current.upstream_api_key ?? (services.tenants.areListed ? null : undefined)
      },
      answer: { maxHeldBytes: settings.max_held_bytes, maxObservedBytes: settings.max_observed_bytes },
      get maxPreflights() {
        return live.current.max_preflights
      },
    },
  )
}

function createRest(
  { settings, live, memory, metrics, log, now }: Start,
  services: Services,
  {
    readiness,
    mcp,
    reloader,
    access,
  }: Pick<Faces, 'readiness' | 'mcp'> & { readonly reloader: Reloader; readonly access: ContentAccess },
): Api {
  const { store, ledger, audit, fleet, kv, bodies, answerBytes, callers, tenants } = services
  const lineages = new Lineages(store)
  const health = new HealthCheck({ fleet, lmcache: kv, store, now })
  const engines = new EngineOperations({
    ...services,
    upstream: () => live.current.upstream,
    apiKey: () => live.current.upstream_api_key,
  })
  return createApi({
    ...services,
    access,
    engines,
    bucketMs: BUCKET_MS,
    mcp: (request, rest) => mcp.handle(request, rest),
    metrics,
    log,
    now,
    version,
    maxBodyBytes: memory.max_body_bytes,
    holdBody: (sharer, scope) => bodies.open(sharer, scope),
    holdAnswer: (sharer, scope) => answerBytes.open(sharer, scope),
    beginLineage: (tenant) =>
      lineages.begin({ tenant, isolation: tenants.policyOf(tenant).isolation, user: undefined }),
    keys: new KeyOperations({ ...services, now }),
    callerOf: (request) => callers.forRest(request),
    recognize: (request) => callers.recognize(request),
    tenantInView: (request) => callers.tenantInView(request),
    sharerInView: (request) => callers.sharerInView(request),
    watchKeys: (onUpdate) => callers.watch(onUpdate),
    reload: () => reloader.reload('operator'),
    reportUsage: async (query, signal) => {
      await ledger.flush()
      return await reportUsage(store, query, { now: now(), keepMs: settings.usage_keep_ms, signal })
    },
    listAudit: (tenant, page) => audit.list(tenant, page),
    requireOperator: (request) => callers.requireOperator(request),
    health: () => health.read(),
    readiness: (leftOut) => readiness.read(leftOut),
  })
}

function addAskChat(
  { settings, log, now }: Start,
  { manyAsker, sideChat, windows, callers, answerBytes }: Services,
  { api, access }: { readonly api: Api; readonly access: ContentAccess },
): void {
  const chat = createAskChat({
    manyAsker,
    sideChat,
    windows,
    callerOf: (request) => {
      const caller = callers.forRest(request)
      access.require(caller, { action: 'ask', target: 'windows', name: 'chat' })
      return caller
    },
    holdAnswer: (sharer, scope) => answerBytes.open(sharer, scope),
    showsProgress: settings.ask_progress === 'reasoning',
    reduceModel: settings.ask_reduce_model,
    sideRequests: settings.ask_side_requests,
    log,
    now,
  })
  api.route('/', chat)
}

function addDashboard({ log, now }: Start, { deriver, store, tenants }: Services, api: Api): void {
  const callRest = (env: Bindings['Bindings']) => callInProcess(api.fetch, env)
  const loginKey = deriver.key('dashboard login')
  const isListed = (tenant: string) => tenants.ids.includes(tenant)
  const openApi = () => openApiText(api, version)
  api.route('/', createDashboard({ loginKey, store, isListed, callRest, fetch: api.fetch, openApi, now, log }))
  for (const path of ['/cwm', '/cwm/', '/cwm/ui/']) api.get(path, (c) => c.redirect('/cwm/ui', 302))
  api.route('/', createDocsSite())
}
