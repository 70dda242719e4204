// The HTTP server of one LMCache instance: prefetches, deletes, clearing, status.

import { randomUUID } from 'node:crypto'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { detailError } from './errors.ts'
import { bodyOf, requireBodyFields, sequenceOf, tierOf } from './fastapi.ts'
import { type KvStore, keysOf, type ObjectKey } from './kv-store.ts'
import type { LmcacheNode } from './lmcache-node.ts'
import { serverQuotaRoutes } from './lmcache-quotas.ts'
import { configJson, statusJson } from './lmcache-status.ts'
import type { SimSettings } from './options.ts'
import type { Answer, Routes } from './routes.ts'

const MAX_JOBS = 1000

interface Job {
  readonly done: number
  readonly keys: readonly ObjectKey[]
}

export function lmcacheRoutes(settings: SimSettings, node: LmcacheNode): Routes {
  const { store } = node
  const jobs = new Map<string, Job>()
  return {
    'GET /': () => ({ status: 200, json: { status: 'ok', service: 'LMCache HTTP API' } }),
    'GET /healthcheck': () => ({ status: 200, json: { status: 'healthy' } }),
    'GET /version': () => ({ status: 200, json: '0.5.6-g3e11e108' }),
    'GET /status': () => ({ status: 200, json: statusJson(settings, node, jobs.size) }),
    'GET /config': () => ({ status: 200, json: configJson(settings, node) }),
    'GET /config/adapters': () => ({ status: 200, json: { adapters: adapters(settings) } }),
    'POST /cache/prefetches': (request): Answer => {
      const body = bodyOf(request)
      requireBodyFields(body, ['model_name', 'world_size', 'token_ids'])
      const sequence = sequenceOf(body)
      const { model_name, world_size } = sequence
      if (!node.attached || model_name !== settings.root || world_size !== settings.worldSize) {
        const detail =
          `no layout registered for model_name='${model_name}' world_size=${world_size}; ` +
          'the model has not allocated KV cache on this node yet'
        throw detailError(503, detail)
      }
      const { keys, chunks } = keysOf(sequence, settings.chunkSize)
      if (chunks === 0) return { status: 202, json: { chunks: 0, status: 'noop' } }
      const id = randomUUID().replaceAll('-', '')
      jobs.set(id, { done: Date.now() + settings.prefetchMs, keys })
      for (const oldest of jobs.keys()) if (jobs.size > MAX_JOBS) jobs.delete(oldest)
      return { status: 202, json: { request_id: id, chunks, status: 'submitted' } }
    },
    'GET /cache/prefetches/:id': ({ params }): Answer => {
      const id = params.id ?? ''
      const job = jobs.get(id)
      if (job === undefined) {
        throw detailError(404, `unknown prefetch request_id='${id}' (already completed or never submitted)`)
      }
      if (Date.now() < job.done) return { status: 200, json: { request_id: id, status: 'pending' } }
      jobs.delete(id)
      const found = store.prefetch(job.keys)
      return {
        status: 200,
        json: { request_id: id, status: 'completed', found_keys: found, total_keys: job.keys.length },
      }
    },
    'POST /cache/clear': (request): Answer => {
      const tier = tierOf(request.body.length === 0 ? undefined : bodyOf(request).tier, 'body', 'l1')
      if (tier !== 'l1') throw detailError(400, `tier '${tier}' not supported; only 'l1'`)
      store.clearL1()
      return { status: 200, json: { status: 'ok', cleared: { tier: 'l1' } } }
    },
    'GET /cache/objects': () => {
      const [name = 'none'] = settings.l2Adapters
      throw detailError(
        503,
        `L2 adapter '${name}' does not support listing: FSL2Adapter does not implement list_l2_keys`,
      )
    },
    'DELETE /cache/objects': (request): Answer => {
      const body = bodyOf(request)
      requireBodyFields(body, ['keys'])
      return { status: 200, json: deleteObjects(store, body) }
    },
    ...serverQuotaRoutes(store),
  }
}

function adapters(settings: SimSettings): unknown[] {
  return settings.l2Adapters.map((type_name, index) => ({
    index,
    type_name,
    tier: 'l2',
    primary: index === 0,
    reconfigurable: false,
  }))
}

/** Deletes objects. As in ObjectService.delete_objects, L1 counts the keys that existed, an adapter all requested keys. */
function deleteObjects(store: KvStore, body: JsonObject): unknown {
  const tier = tierOf(body.tier, 'body', 'l2')
  const keys = objectKeys(body.keys)
  const l1 = tier === 'l2' ? { deleted: 0, skipped: 0 } : store.deleteL1(keys, body.force === true)
  const adapter = typeof body.adapter === 'string' ? body.adapter : undefined
  const l2 = tier === 'l1' ? 0 : store.deleteL2(keys, adapter)
  if (l2 === undefined) {
    throw adapter === undefined
      ? detailError(503, 'no L2 adapters configured')
      : detailError(404, `no L2 adapter with type_name='${adapter}'`)
  }
  return { deleted: l1.deleted + l2, skipped: l1.skipped, ok: true }
}

/** The keys in a body, in the format of the API. */
export function objectKeys(value: JsonValue | undefined): ObjectKey[] {
  return (Array.isArray(value) ? (value as readonly JsonValue[]) : []).filter(isObject).map((key) => ({
    chunk_hash_hex: String(key.chunk_hash_hex),
    model_name: String(key.model_name),
    kv_rank: Number(key.kv_rank),
    object_group_id: Number(key.object_group_id ?? 0),
    cache_salt: String(key.cache_salt ?? ''),
  }))
}
