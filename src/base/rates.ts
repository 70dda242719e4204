// Rate limits as settings state them, and what is known of an account that has one.

/** What may be used within a minute. Absent: no limit. */
export interface RateLimit {
  readonly requests?: number
  /** Tokens that engines compute: prompts without what was cached, and answers. */
  readonly tokens?: number
}

/** A limit as settings and requests state it; undefined if nothing is limited. */
export function rateLimitOf(limits: {
  readonly requests_per_minute?: number | undefined
  readonly tokens_per_minute?: number | undefined
}): RateLimit | undefined {
  const { requests_per_minute: requests, tokens_per_minute: tokens } = limits
  if (requests === undefined && tokens === undefined) return undefined
  return { ...(requests === undefined ? {} : { requests }), ...(tokens === undefined ? {} : { tokens }) }
}

/** The limits that apply to one request: its tenant's, and those of the key alone. */
export interface RateLimits {
  readonly tenant?: RateLimit
  readonly key?: RateLimit
}

/** What an account used within the last minute. */
export interface RateUse {
  readonly requests: number
  readonly tokens: number
  /** Milliseconds until nothing of it counts any longer; 0 if nothing counts now. */
  readonly requestsResetMs: number
  readonly tokensResetMs: number
}

/** A limit and what is left of it. */
export interface RateQuota {
  readonly limit: number
  readonly remaining: number
  /** Milliseconds until all of it is available again, if nothing else is used. */
  readonly resetMs: number
}

/** What clients learn of their limits. Absent: no limit. */
export interface RateQuotas {
  readonly requests?: RateQuota
  readonly tokens?: RateQuota
}

/** The tighter of the limits that apply to each kind, with what is left of it. */
export function quotasOf(accounts: readonly { readonly limit: RateLimit; readonly use: RateUse }[]): RateQuotas {
  let quotas: RateQuotas = {}
  for (const { limit, use } of accounts) {
    const requests = tighter(quotas.requests, limit.requests, use.requests, use.requestsResetMs)
    const tokens = tighter(quotas.tokens, limit.tokens, use.tokens, use.tokensResetMs)
    quotas = { ...(requests && { requests }), ...(tokens && { tokens }) }
  }
  return quotas
}

function tighter(known: RateQuota | undefined, limit: number | undefined, used: number, resetMs: number) {
  if (limit === undefined) return known
  const remaining = Math.max(0, limit - used)
  return known !== undefined && known.remaining <= remaining ? known : { limit, remaining, resetMs }
}
