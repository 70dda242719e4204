// REST handlers for the API keys of listed tenants. Only the operator may see or change them.

import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type RateLimit, rateLimitOf } from '../base/rates.ts'
import type { Page, PageRequest } from '../store/store-values.ts'
import type { KeyJson } from '../wire/keys.ts'
import type { Bindings } from './bindings.ts'
import { createKey, listKeys, revokeKey } from './key-routes.ts'
import { iso, pageToWire } from './to-wire.ts'

/** A key, as the operator sees it. Times are milliseconds since the epoch. */
export interface KeyReport {
  /** Undefined for a key of the settings file, like `createdAt`. */
  readonly id: string | undefined
  readonly tenant: string
  readonly name: string
  readonly createdAt: number | undefined
  readonly expiresAt: number | undefined
  readonly isExpired: boolean
  /** Of this key alone. */
  readonly rate: RateLimit | undefined
  readonly lastUsedAt: number | undefined
}

export interface NewKey {
  readonly tenant: string
  readonly name: string
  /** Milliseconds since the epoch; undefined: it does not expire. */
  readonly expiresAt: number | undefined
  /** Of this key alone; undefined: it counts only toward its tenant. */
  readonly rate: RateLimit | undefined
}

export interface KeyHandlerParts {
  readonly now: () => number
  readonly keys: {
    create(key: NewKey): Promise<{ readonly report: KeyReport; readonly secret: string }>
    list(tenant: string | undefined, page: PageRequest): Promise<Page<KeyReport>>
    revoke(id: string): Promise<KeyReport>
  }
}

export function mountKeys(
  app: OpenAPIHono<Bindings>,
  { keys, now }: KeyHandlerParts,
  requireOperator: (c: Context<Bindings>) => void,
): void {
  app.openapi(createKey, async (c) => {
    requireOperator(c)
    const { tenant, name, expires_at, expires_in_s, ...limits } = c.req.valid('json')
    const inTime = expires_in_s === undefined ? undefined : now() + expires_in_s * 1_000
    const expiresAt = expires_at === undefined ? inTime : Date.parse(expires_at)
    const { report, secret } = await keys.create({ tenant, name, expiresAt, rate: rateLimitOf(limits) })
    // No cache on the way may keep the secret.
    return c.json({ ...keyToWire(report), secret }, 201, { 'cache-control': 'no-store' })
  })

  app.openapi(listKeys, async (c) => {
    requireOperator(c)
    const { tenant, limit, cursor } = c.req.valid('query')
    const page = await keys.list(tenant, cursor === undefined ? { limit } : { limit, cursor })
    return c.json(pageToWire(page.items.map(keyToWire), page.nextCursor), 200)
  })

  app.openapi(revokeKey, async (c) => {
    requireOperator(c)
    return c.json(keyToWire(await keys.revoke(c.req.valid('param').id)), 200)
  })
}

function keyToWire({ id, tenant, name, createdAt, expiresAt, isExpired, rate, lastUsedAt }: KeyReport): KeyJson {
  const time = (at: number | undefined) => (at === undefined ? null : iso(at))
  return {
    id: id ?? null,
    tenant,
    name,
    source: id === undefined ? 'file' : 'rest',
    created_at: time(createdAt),
    expires_at: time(expiresAt),
    expired: isExpired,
    requests_per_minute: rate?.requests ?? null,
    tokens_per_minute: rate?.tokens ?? null,
    last_used_at: time(lastUsedAt),
  }
}
