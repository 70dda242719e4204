// A tenant's rights and limits, derived from the settings.

import { CwmError } from './errors.ts'
import type { RateLimit, RateLimits } from './rates.ts'

/**
 * How far KV is shared. `session`: a lineage per session. `user`: a lineage per user of the tenant (a request that names no user gets one
 * per session). `tenant`: a lineage per tenant.
 */
export type Isolation = 'session' | 'user' | 'tenant'

/** What happens if a new pin exceeds the budget: it is rejected, or the pins of the windows thawed longest ago are released. */
export type WhenPinsFull = 'reject' | 'release'

/**
 * What happens to a turn that exceeds the context: it is sent unchanged, rejected before any compute, or cut after the whole conversation
 * was frozen.
 */
export const overflowPolicies = ['pass', 'reject', 'rollover'] as const
export type Overflow = (typeof overflowPolicies)[number]

/** What happens to a tenant's sessions near the model's limit. */
export interface NearLimit {
  readonly overflow: Overflow
  /** Share of the limit at which a session is frozen automatically; 0 never. */
  readonly freezeAt: number
  /** Share of the limit that remains after a rollover. */
  readonly rolloverTo: number
  /** First exchanges that a rollover keeps in addition to the newest. */
  readonly keepFirst: number
  /** Whether the model is informed that earlier turns are in a window. */
  readonly rolloverNote: boolean
  /** Maximum automatic windows per session, and per tenant; the oldest are deleted. */
  readonly maxAutoPerSession: number
  readonly maxAutoWindows: number
}

/** A tenant's own near-limit policy, which overrides the operator's. Absent fields follow the operator's. */
export type NearLimitOverrides = Partial<Pick<NearLimit, 'freezeAt' | 'overflow'>>

/** Limits and rights of one tenant. An absent limit means none. */
export interface TenantPolicy {
  /** Served names that it may use; absent: all. */
  readonly models?: ReadonlySet<string>
  /** Fields and headers that it may send although they bypass the gateway. */
  readonly allowedFields: ReadonlySet<string>
  readonly isolation: Isolation
  /** Requests in flight at once. */
  readonly maxInFlight?: number
  /** What it may use within a minute. */
  readonly rates?: RateLimits
  readonly maxSessions?: number
  readonly maxWindows?: number
  /** Total bytes of all its windows' messages and ids. */
  readonly maxWindowBytes?: number
  readonly maxPinnedTokens?: number
  readonly whenPinsFull: WhenPinsFull
  /** How long a pin lasts, milliseconds; a thaw restarts it. Absent: until the window is deleted. */
  readonly pinTtlMs?: number
  /** LMCache quota per salt, GiB, if a server evicts per salt (`IsolatedLRU`). */
  readonly kvQuotaGb: number
  readonly nearLimit: NearLimit
}

/** The policy of one key: its tenant's, with a rate limit for the key alone if that has one. */
export function policyOfKey(policy: TenantPolicy, key: RateLimit | undefined): TenantPolicy {
  return key === undefined ? policy : { ...policy, rates: { ...policy.rates, key } }
}

/** The sender of a request. */
export interface Caller {
  readonly tenant: string
  /**
   * Whose share of slots, bytes and listeners the request uses: the tenant's. Where no tenants are listed, that of the client's address
   * (`ip:…`) unless it is exempt, because a client could invent keys to get more shares.
   */
  readonly sharer: string
  /** For the audit log: a key's name, `operator`, or `key` if keys have no names. */
  readonly actor: string
  /** The key sent upstream for calls of this caller; undefined: none. */
  readonly apiKey: string | undefined
  readonly operator: boolean
  readonly policy: TenantPolicy
}

/** Throws `FORBIDDEN_MODEL` for a model that the tenant may not use, and for none, because the engine would then choose one. */
export function requireModel({ models }: TenantPolicy, model: unknown): void {
  if (models === undefined || (typeof model === 'string' && models.has(model))) return
  throw new CwmError('FORBIDDEN_MODEL', `this key may use ${[...models].sort().join(', ')}; name one of them`, {
    param: 'model',
  })
}
