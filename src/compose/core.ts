// The part of the services below the turns: journal, tenants, sessions, windows.

import { type BackgroundKind, BackgroundSlots, backgroundShare, slotsByKind } from '../admission/background.ts'
import { toCwmError } from '../base/errors.ts'
import { policiesOf } from '../config/policies.ts'
import type { Settings } from '../config/schema.ts'
import { Audit } from '../journal/audit.ts'
import { EventLog } from '../journal/events.ts'
import { Timeline } from '../journal/timeline.ts'
import { Ledger } from '../ledger/ledger.ts'
import type { PassageIndex } from '../passages/passage-index.ts'
import { RateLimiter } from '../rate-limits/rate-limiter.ts'
import { Lineages } from '../sessions/lineages.ts'
import { NewestSessions } from '../sessions/newest.ts'
import { RecentCalls } from '../sessions/recent-calls.ts'
import { RequestLineages } from '../sessions/request-lineages.ts'
import { RetainedTurns } from '../sessions/retained.ts'
import { SessionTracker } from '../sessions/tracker.ts'
import { type CallerKeys, Callers } from '../tenants/callers.ts'
import { ClientAddresses } from '../tenants/client-addresses.ts'
import { TenantOverrides } from '../tenants/overrides.ts'
import { StoredKeys } from '../tenants/stored-keys.ts'
import { Tenants } from '../tenants/tenants.ts'
import { orderLineageCleanup } from '../windows/deletion-orders.ts'
import { Deletions } from '../windows/deletions.ts'
import { KvCosts } from '../windows/kv-costs.ts'
import type { DeletionParts, WindowParts } from '../windows/parts.ts'
import { toRetainedPrompt } from '../windows/turn-prompt.ts'
import { Windows } from '../windows/windows.ts'
import { WindowsInUse } from '../windows/windows-in-use.ts'
import type { Engines } from './engines.ts'
import { createPassages } from './passages.ts'
import type { Start } from './start.ts'
import type { Storage } from './storage.ts'
import { TotalUsage } from './total-usage.ts'

interface Journal {
  readonly audit: Audit
  readonly events: EventLog
  readonly timeline: Timeline
  readonly ledger: Ledger
}

interface Tenancy {
  readonly tenants: Tenants
  readonly callers: Callers
  /** Those created by REST. */
  readonly storedKeys: StoredKeys
  /** What tenants chose for themselves. */
  readonly overrides: TenantOverrides
  readonly rates: RateLimiter
}

interface Background {
  readonly freezeSlots: BackgroundSlots
  readonly deleteSlots: BackgroundSlots
}

interface Sessions {
  readonly sessions: SessionTracker
  /** For requests without a session. */
  readonly requestLineages: RequestLineages
  readonly retained: RetainedTurns
  readonly newest: NewestSessions
  readonly calls: RecentCalls
}

interface WindowServices {
  readonly windowParts: WindowParts
  readonly windows: Windows
  readonly deletions: Deletions
}

/** What windows are built on. */
type Ground = Storage & Engines & Journal & Tenancy & Background & Sessions & { readonly passages: PassageIndex }

export type Core = Ground & WindowServices

export function createCore(start: Start, storage: Storage, engines: Engines): Core {
  const totalUsage = new TotalUsage(storage.store, start.now)
  start.metrics.watchUsage(() => totalUsage.read())
  const tenancy = createTenancy(start, storage)
  const journal = createJournal(start, storage)
  const ground = {
    ...storage,
    ...engines,
    ...journal,
    ...tenancy,
    ...createBackground(start, tenancy),
    ...createSessions(start, storage, engines),
    passages: createPassages(start, storage.store, journal.events),
  }
  return { ...ground, ...createWindows(start, ground) }
}

function createJournal({ settings, metrics, log, now, closers }: Start, { store }: Storage): Journal {
  const audit = new Audit({ store, metrics, log, now, keep: settings.audit_keep })
  closers.add(() => audit.settle())
  const events = new EventLog({ store, metrics, log, now, keep: settings.events_keep })
  closers.add(() => events.settle())
  const ledger = new Ledger({ store, metrics, log, now, keepMs: settings.usage_keep_ms })
  closers.add(() => ledger.flush())
  return { audit, events, timeline: new Timeline(now), ledger }
}

function createTenancy({ settings, live, metrics, log, now, closers }: Start, { store, deriver }: Storage): Tenancy {
  const { defaults, tenants: listed } = policiesOf(live.current)
  const tenants = new Tenants(defaults, listed)
  const { trusted_proxies: trustedProxies, exempt_addresses: exempt } = settings
  const addresses = new ClientAddresses({ trustedProxies, exempt })
  const storedKeys = new StoredKeys({ store, log, now })
  closers.add(() => storedKeys.close())
  const parts = { deriver, tenants, stored: storedKeys, addresses, now }
  const callers = new Callers(parts, callerKeysOf(live.current))
  closers.add(() => callers.close())
  live.onReload((next) => {
    const policies = policiesOf(next)
    tenants.update(policies.defaults, policies.tenants)
    callers.update(callerKeysOf(next))
  })
  const rates = new RateLimiter({ store, metrics, log, now })
  return { tenants, callers, storedKeys, overrides: new TenantOverrides(store, now), rates }
}

function callerKeysOf({ operator_key, upstream_api_key }: Settings): CallerKeys {
  return { operatorKey: operator_key, upstreamApiKey: upstream_api_key }
}

function createSessions(
  { settings, memory, log, now, closers }: Start,
  { store }: Storage,
  { lmcache }: Engines,
): Sessions {
  const shares = sharesOf(memory.tracking_bytes)
  const sessions = new SessionTracker({
    store,
    now,
    maxSessionBytes: shares.sessions,
    maxHistoryBytes: shares.histories,
    boundaryTtlMs: settings.boundary_ttl_ms,
    responseTtlMs: settings.response_ttl_ms,
    onLate: (session) => {
      orderLineageCleanup({ store, now }, session).catch((thrown: unknown) => {
        log.error({ session: session.id, err: toCwmError(thrown) }, 'the KV of a late turn has no delete order')
      })
    },
  })
  closers.add(() => sessions.close())
  const keepsKv = lmcache.configured
  const requestLineages = new RequestLineages({ store, lineages: new Lineages(store), keepsKv, now })
  closers.add(async () => requestLineages.close())
  const retained = new RetainedTurns({
    retain: settings.retain,
    maxBytes: memory.retain_bytes,
    store,
    promptOf: toRetainedPrompt,
    log,
    now,
  })
  closers.add(() => retained.settle())
  return { sessions, requestLineages, retained, newest: new NewestSessions(shares.newest), calls: new RecentCalls(now) }
}

function createBackground({ settings, live, metrics }: Start, { tenants }: Tenancy): Background {
  const share = slotsByKind(settings.max_background ?? backgroundShare(live.current.max_in_flight))
  const boundOf = (sharer: string) => tenants.policyOf(sharer).maxInFlight
  const slotsOf = (kind: BackgroundKind) => new BackgroundSlots({ kind, slots: share[kind], boundOf }, metrics)
  return { freezeSlots: slotsOf('freezes'), deleteSlots: slotsOf('deletes') }
}

function createWindows({ settings, live, memory, metrics, log, now }: Start, ground: Ground): WindowServices {
  const {
    store,
    deriver,
    fleet,
    kv,
    quotas,
    audit,
    events,
    ledger,
    tenants,
    sessions,
    requestLineages,
    retained,
    passages,
  } = ground
  const { freezeSlots, deleteSlots, releasedKeys } = ground
  const windowParts: WindowParts = {
    store,
    fleet,
    kv,
    log,
    metrics,
    audit,
    events,
    ledger,
    now,
    saltOf: (space) => deriver.salt(space),
    quotas,
    costs: new KvCosts(),
    kvEpoch: settings.kv_epoch,
    policyOf: (tenant) => tenants.policyOf(tenant),
    verifyDeadlineMs: settings.verify_deadline_ms,
    maxBaseBytes: memory.base_window_bytes,
    freezeSlots,
    inUse: new WindowsInUse(store, metrics),
  }
  const windows = new Windows(windowParts, sessions)
  const deletionParts: DeletionParts = {
    ...windowParts,
    sessions: {
      ended: (tenant, id) => sessions.ended(tenant, id),
      isBusy: (tenant, id) => sessions.isBusy(tenant, id),
      retired: (tenant, lineage) => {
        sessions.retired(tenant, lineage)
        requestLineages.retired(tenant, lineage)
      },
    },
    retained,
    apiKey: () => live.current.upstream_api_key,
    retryMs: settings.deletion_retry_ms,
    deleteSlots,
    releasedKeys,
    onWindowRemoved: (tenant, name) => passages.forget(tenant, name),
  }
  return { windowParts, windows, deletions: new Deletions(deletionParts, windows) }
}

/** Divides `tracking_bytes` among the caches. Sessions get the most, because a miss there costs a read of the store. */
export function sharesOf(bytes: number) {
  const part = Math.floor(bytes / 16)
  return { sessions: 10 * part, histories: 4 * part, sizes: part, newest: part }
}
