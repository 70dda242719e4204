// The LMCache server's own quotas per salt, which IsolatedLRU enforces: docs/engine-behavior.md#quotas.

import { isObject, type JsonValue } from '../base/json.ts'
import type { KvStore } from './kv-store.ts'
import type { Answer, Routes } from './routes.ts'

const GIB = 1024 ** 3

/** The empty salt and the salt `_default` share one path; the collision is LMCache's: docs/engine-behavior.md#empty-salt. */
const saltOf = (part: string | undefined): string => (part === '_default' ? '' : (part ?? ''))
const pathPartOf = (salt: string): string => (salt === '' ? '_default' : salt)
const badRequest = (error: string): Answer => ({ status: 400, json: { error } })

export function serverQuotaRoutes(store: KvStore): Routes {
  const usageGb = (salt: string) => store.l2BytesOf(salt) / GIB
  return {
    'PUT /quota/:salt': ({ params, body }) => {
      const limit = limitOf(body)
      if (typeof limit === 'string') return badRequest(limit)
      const salt = saltOf(params.salt)
      store.quotas.set(salt, limit * GIB)
      return { status: 200, json: { cache_salt: pathPartOf(salt), limit_gb: limit, status: 'ok' } }
    },
    'GET /quota/:salt': ({ params }) => {
      const salt = saltOf(params.salt)
      const limit = store.quotas.get(salt)
      const json = {
        cache_salt: pathPartOf(salt),
        limit_gb: (limit ?? 0) / GIB,
        current_usage_gb: usageGb(salt),
        exists: limit !== undefined,
      }
      return { status: 200, json }
    },
    'DELETE /quota/:salt': ({ params }) => {
      const salt = saltOf(params.salt)
      const status = store.quotas.delete(salt) ? 'removed' : 'not_found'
      store.evictSoon()
      return { status: 200, json: { cache_salt: pathPartOf(salt), status } }
    },
    'GET /quota': () => {
      const users = [...store.quotas].map(([salt, limit]) => [
        pathPartOf(salt),
        { limit_gb: limit / GIB, current_usage_gb: usageGb(salt) },
      ])
      return { status: 200, json: { users: Object.fromEntries(users) } }
    },
  }
}

/** The limit in GiB, or the error text for the body. */
function limitOf(bytes: Buffer): number | string {
  let body: JsonValue
  try {
    body = JSON.parse(bytes.toString('utf8')) as JsonValue
  } catch {
    return 'invalid JSON body'
  }
  if (!isObject(body) || body.limit_gb === undefined) return "body must be {'limit_gb': <float>}"
  const limit =
    typeof body.limit_gb === 'string' || typeof body.limit_gb === 'number' ? Number(body.limit_gb) : Number.NaN
  if (Number.isNaN(limit)) return 'limit_gb must be numeric'
  if (!Number.isFinite(limit)) return 'limit_gb must be finite'
  return limit < 0 ? 'limit_gb must be non-negative' : limit
}
