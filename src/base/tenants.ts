// What a tenant may do and hold. Made from the settings; rooms take it as it is.

import { CwmError } from './errors.ts'

/**
 * How far KV is shared. `session`: a lineage per session. `user`: all sessions of one user of the tenant share one (a request that
 * names no user is a session of its own). `tenant`: all of the tenant's.
 */
export type Isolation = 'session' | 'user' | 'tenant'

/** What happens when a new pin does not fit the budget: refused, or the windows thawed longest ago give theirs back. */
export type WhenPinsFull = 'reject' | 'release'

/** What is done with a turn that does not fit the context: sent as it is, refused before any compute, or cut after the whole was frozen. */
export const overflowPolicies = ['pass', 'reject', 'rollover'] as const
export type Overflow = (typeof overflowPolicies)[number]

/** What happens to a tenant's sessions near the model's limit. */
export interface NearLimit {
  readonly overflow: Overflow
  /** Share of the limit at which a session is frozen by itself; 0 never. */
  readonly freezeAt: number
  /** Share of the limit that a rollover cuts down to. */
  readonly rolloverTo: number
  /** First exchanges that a rollover keeps beside the newest. */
  readonly keepFirst: number
  /** Whether the model is told that earlier turns are in a window. */
  readonly rolloverNote: boolean
  /** Automatic windows kept of one session, and of the tenant; the oldest go first. */
  readonly maxAutoPerSession: number
  readonly maxAutoWindows: number
}

/** What a tenant has chosen for itself near the limit, in place of the operator's word. What is absent it leaves to him. */
export type TenantChoices = Partial<Pick<NearLimit, 'freezeAt' | 'overflow'>>

/** Bounds and rights of one tenant. An absent bound is none. */
export interface TenantPolicy {
  /** Served names that it may use; absent: all. */
  readonly models?: ReadonlySet<string>
  /** Fields and headers that reach below the gateway and that it may set all the same. */
  readonly allowedFields: ReadonlySet<string>
  readonly isolation: Isolation
  /** Requests in flight at once. */
  readonly maxInFlight?: number
  readonly maxSessions?: number
  readonly maxWindows?: number
  /** Of all its windows' messages and ids, bytes. */
  readonly maxWindowBytes?: number
  readonly maxPinnedTokens?: number
  readonly whenPinsFull: WhenPinsFull
  /** How long a pin is held, milliseconds; a thaw begins it anew. Absent: until the window is deleted. */
  readonly pinTtlMs?: number
  /** LMCache quota of each salt, GiB, where a server evicts per salt (`IsolatedLRU`). */
  readonly kvQuotaGb: number
  readonly nearLimit: NearLimit
}

/** Who sends a request. */
export interface Caller {
  readonly tenant: string
  /** For the audit log: a key's name, `operator`, or `key` where keys have no names. */
  readonly actor: string
  /** What goes to the upstream for calls of this caller; undefined: no key. */
  readonly apiKey: string | undefined
  readonly operator: boolean
  readonly policy: TenantPolicy
}

/** Throws `FORBIDDEN_MODEL` for a model that the tenant may not use. Naming none, it would get whichever the engine takes for that. */
export function requireModel({ models }: TenantPolicy, model: unknown): void {
  if (models === undefined || (typeof model === 'string' && models.has(model))) return
  throw new CwmError('FORBIDDEN_MODEL', `this key may use ${[...models].sort().join(', ')}; name one of them`, {
    param: 'model',
  })
}
