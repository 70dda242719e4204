// The coordinator's quotas per salt. They are stored and shown, but not enforced here.

import type { Directory } from './directory.ts'
import { detailError } from './errors.ts'
import { bodyOf, requireBodyFields, tierOf } from './fastapi.ts'
import type { SimSettings } from './options.ts'
import type { Routes } from './routes.ts'

const GIB = 1024 ** 3

export function quotaRoutes(directory: Directory, settings: SimSettings): Routes {
  const usageGb = (salt: string | undefined, tier: string): number => {
    const known = directory.list((placement) => placement.tier === tier)
    const own = known.filter(({ key }) => salt === undefined || key.cache_salt === salt)
    return (own.reduce((sum, { placements }) => sum + placements.length, 0) * settings.chunkBytes) / GIB
  }
  const status = (salt: string, tier: string) => {
    const limit = tier === 'l2' ? directory.quotas.get(salt) : undefined
    return {
      cache_salt: salt,
      quota_limit_gb: limit ?? 0,
      quota_exists: limit !== undefined,
      usage_gb: usageGb(salt, tier),
    }
  }
  return {
    'GET /quota/config': () => ({ status: 200, json: { default_limit_gb: directory.defaultQuotaGb } }),
    'PUT /quota/config': (request) => {
      const { default_limit_gb: limit } = bodyOf(request)
      directory.defaultQuotaGb = typeof limit === 'number' ? limit : null
      return { status: 200, json: { default_limit_gb: directory.defaultQuotaGb } }
    },
    'PUT /quota/:salt': (request) => {
      const body = bodyOf(request)
      requireBodyFields(body, ['limit_gb'])
      requireL2(tierOf(body.tier, 'body', 'l2'))
      const salt = saltOf(request.params.salt)
      directory.setQuota(salt, Number(body.limit_gb))
      return { status: 200, json: { cache_salt: salt, limit_gb: Number(body.limit_gb), status: 'ok' } }
    },
    'GET /quota/:salt': ({ params, query }) => {
      const tier = tierOf(query.get('tier'), 'query', 'l2')
      return { status: 200, json: status(saltOf(params.salt), tier) }
    },
    'DELETE /quota/:salt': ({ params }) => {
      const salt = saltOf(params.salt)
      const removed = directory.quotas.delete(salt)
      return { status: 200, json: { cache_salt: salt, limit_gb: 0, status: removed ? 'removed' : 'not_found' } }
    },
    'GET /quota': ({ query }) => {
      const tier = tierOf(query.get('tier'), 'query', 'l2')
      const used = directory.list((placement) => placement.tier === tier).map(({ key }) => key.cache_salt)
      const salts = [...new Set([...used, ...(tier === 'l2' ? directory.quotas.keys() : [])])].sort()
      const json = { total_gb: usageGb(undefined, tier), by_cache_salt: salts.map((salt) => status(salt, tier)) }
      return { status: 200, json }
    },
  }
}

/** A path contains the empty salt as `_default`. */
const saltOf = (part: string | undefined): string => (part === '_default' ? '' : (part ?? ''))

function requireL2(tier: string): void {
  if (tier !== 'l2') throw detailError(400, `quotas apply to tier 'l2' only, not '${tier}'`)
}
