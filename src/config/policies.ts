// Converts settings to tenant policies: one for each listed tenant, and a default for all others.

import { rateLimitOf } from '../base/rates.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import type { TenantEntry } from '../tenants/tenants.ts'
import type { Settings } from './schema.ts'
import type { TenantSetting } from './tenants.ts'

export interface Policies {
  /** For tenants that are not listed. */
  readonly defaults: TenantPolicy
  /** Undefined if none are listed, so that each key is a tenant. */
  readonly tenants: readonly TenantEntry[] | undefined
}

/** A tenant's entry overrides the general settings. */
export function policiesOf(settings: Settings): Policies {
  return {
    defaults: policyOf(settings),
    tenants: settings.tenants?.map((tenant) => ({
      id: tenant.id,
      keys: tenant.keys.map(({ name, sha256, expires, ...limits }) => ({
        name,
        sha256,
        ...(expires === undefined ? {} : { expiresAt: Date.parse(expires) }),
        rate: rateLimitOf(limits),
      })),
      policy: policyOf({ ...settings, ...given(tenant) }),
    })),
  }
}

type PolicySettings = Pick<Settings, Exclude<keyof TenantSetting, 'id' | 'keys' | 'models'> & keyof Settings> &
  Pick<TenantSetting, 'models'>

function policyOf(settings: PolicySettings): TenantPolicy {
  const {
    models,
    max_in_flight_per_tenant,
    max_sessions,
    max_windows,
    max_window_bytes,
    max_pinned_tokens,
    pin_ttl_ms,
  } = settings
  const rate = rateLimitOf(settings)
  return {
    ...(models === undefined ? {} : { models: new Set(models) }),
    allowedFields: new Set(settings.allowed_fields.map((name) => name.toLowerCase())),
    isolation: settings.isolation,
    ...(max_in_flight_per_tenant === undefined ? {} : { maxInFlight: max_in_flight_per_tenant }),
    ...(rate === undefined ? {} : { rates: { tenant: rate } }),
    ...(max_sessions === undefined ? {} : { maxSessions: max_sessions }),
    ...(max_windows === undefined ? {} : { maxWindows: max_windows }),
    ...(max_window_bytes === undefined ? {} : { maxWindowBytes: max_window_bytes }),
    ...(max_pinned_tokens === undefined ? {} : { maxPinnedTokens: max_pinned_tokens }),
    whenPinsFull: settings.when_pins_full,
    ...(pin_ttl_ms === 0 ? {} : { pinTtlMs: pin_ttl_ms }),
    kvQuotaGb: settings.kv_quota_gb,
    nearLimit: {
      overflow: settings.overflow,
      freezeAt: settings.freeze_at,
      rolloverTo: settings.rollover_to,
      keepFirst: settings.keep_first,
      rolloverNote: settings.rollover_note,
      maxAutoPerSession: settings.max_auto_windows_per_session,
      maxAutoWindows: settings.max_auto_windows,
    },
  }
}

/** Removes undefined fields, which would override the defaults when spread. */
function given(tenant: TenantSetting): {
  readonly [name in keyof TenantSetting]: Exclude<TenantSetting[name], undefined>
} {
  return Object.fromEntries(Object.entries(tenant).filter(([, value]) => value !== undefined)) as never
}
