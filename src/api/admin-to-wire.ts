// Converts records to the REST types of the administration routes.

import type { RateQuota, RateQuotas } from '../base/rates.ts'
import type { AuditEntry, TenantUsage } from '../base/records.ts'
import type { NearLimitOverrides, TenantPolicy } from '../base/tenants.ts'
import type { Timeline } from '../journal/timeline.ts'
import type { AuditEntryJson } from '../wire/audit.ts'
import type { ReloadJson } from '../wire/reload.ts'
import type { NearLimitJson, TenantJson, TimelineJson } from '../wire/tenants.ts'
import { iso } from './to-wire.ts'

/** What is left of the limits of a tenant, and of the key of a request. */
export interface RatesLeft {
  readonly tenant: RateQuotas
  readonly key: RateQuotas
}

export function tenantToWire(id: string, usage: TenantUsage, policy: TenantPolicy, rates?: RatesLeft): TenantJson {
  return {
    id,
    usage: {
      sessions: usage.sessions,
      windows: usage.windows,
      window_bytes: usage.windowBytes,
      pinned_tokens: usage.pinnedTokens,
    },
    limits: {
      models: policy.models && [...policy.models].sort(),
      max_in_flight_per_tenant: policy.maxInFlight,
      requests_per_minute: policy.rates?.tenant?.requests,
      tokens_per_minute: policy.rates?.tenant?.tokens,
      max_sessions: policy.maxSessions,
      max_windows: policy.maxWindows,
      max_window_bytes: policy.maxWindowBytes,
      max_pinned_tokens: policy.maxPinnedTokens,
      pin_ttl_ms: policy.pinTtlMs,
    },
    rates: rates && { tenant: quotasToWire(rates.tenant), key: quotasToWire(rates.key) },
    isolation: policy.isolation,
    when_pins_full: policy.whenPinsFull,
  }
}

function quotasToWire({ requests, tokens }: RateQuotas) {
  const toWire = ({ limit, remaining, resetMs }: RateQuota) => ({ limit, remaining, reset_ms: resetMs })
  return { requests: requests && toWire(requests), tokens: tokens && toWire(tokens) }
}

export function nearLimitToWire({ nearLimit }: TenantPolicy, chosen: NearLimitOverrides): NearLimitJson {
  const { freezeAt, overflow } = { ...nearLimit, ...chosen }
  return { freeze_at: freezeAt, overflow, chosen: { freeze_at: chosen.freezeAt, overflow: chosen.overflow } }
}

export function timelineToWire(buckets: ReturnType<Timeline['bucketsOf']>, bucketMs: number): TimelineJson {
  return {
    bucket_ms: bucketMs,
    buckets: buckets.map(({ at, turns, promptTokens, cachedTokens, streams, ttftMs, slowestMs }) => ({
      at: iso(at),
      turns,
      prompt_tokens: promptTokens,
      cached_tokens: cachedTokens,
      streams,
      mean_ttft_ms: streams === 0 ? null : Math.round(ttftMs / streams),
      max_ttft_ms: streams === 0 ? null : Math.round(slowestMs),
    })),
  }
}

export function auditEntryToWire({ at, lastAt, receipt, ...entry }: AuditEntry): AuditEntryJson {
  return {
    ...entry,
    at: iso(at),
    last_at: lastAt === undefined ? undefined : iso(lastAt),
    receipt: receipt && { ...receipt },
  }
}

/** What a reload changed. */
export interface SettingsReport {
  readonly changed: readonly string[]
  readonly needsRestart: readonly string[]
  readonly keysAdded: readonly string[]
  readonly keysRemoved: readonly string[]
}

export function reloadToWire({ changed, needsRestart, keysAdded, keysRemoved }: SettingsReport): ReloadJson {
  return {
    changed: [...changed],
    needs_restart: [...needsRestart],
    keys_added: [...keysAdded],
    keys_removed: [...keysRemoved],
  }
}
