// LMCache's coordinator over HTTP: directory, pins and quotas. It forwards prefetches and deletes to its instances.

import type { JsonObject } from '../base/json.ts'
import type { Directory, Placement } from './directory.ts'
import { detailError, HttpError } from './errors.ts'
import { bodyOf, pageOf, requireBodyFields, sequenceOf, tierOf } from './fastapi.ts'
import { keysOf, type ObjectKey } from './kv-store.ts'
import type { LmcacheNode } from './lmcache-node.ts'
import { objectKeys } from './lmcache-routes.ts'
import type { SimSettings } from './options.ts'
import { quotaRoutes } from './quota-routes.ts'
import { type Answer, findRoute, type Routes, type SimRequest } from './routes.ts'

/** An LMCache server from the coordinator's side. */
export interface Instance {
  readonly node: LmcacheNode
  readonly routes: Routes
}

export function coordinatorRoutes(settings: SimSettings, directory: Directory, instances: readonly Instance[]): Routes {
  const nodes = instances.map(({ node }) => node)
  const usage = (id: string) => usageJson(settings, directory, id)
  const resolve = (body: JsonObject): { keys: ObjectKey[]; chunks: number } =>
    keysOf(sequenceOf(body), settings.coordinatorChunkSize)
  const pins =
    (change: (keys: readonly ObjectKey[]) => void, status: string) =>
    (request: SimRequest): Answer => {
      const body = bodyOf(request)
      requireBodyFields(body, ['model_name', 'world_size'])
      const { keys, chunks } = resolve(body)
      change(keys)
      return { status: 200, json: { requested: chunks, affected: keys.length, status } }
    }
  return {
    'GET /healthz': () => ({ status: 200, json: { status: 'healthy' } }),
    'GET /instances': () => ({
      status: 200,
      json: { instances: nodes.filter((node) => node.up).map(instanceJson) },
    }),
    'GET /instances/usage': () => ({
      status: 200,
      json: { instances: nodes.map((node) => usage(node.id)), shared_modules: [] },
    }),
    'GET /instances/:id/usage': ({ params }) => {
      const known = nodes.find((node) => node.id === params.id)
      if (known === undefined) throw detailError(404, `unknown instance '${params.id}'`)
      return { status: 200, json: usage(known.id) }
    },
    'POST /directory/lookup': (request) => ({ status: 200, json: lookup(settings, directory, bodyOf(request)) }),
    'GET /directory/stats': () => ({ status: 200, json: stats(settings, directory, nodes) }),
    'GET /directory/keys': ({ query }) => {
      const tier = tierOf(query.get('tier'), 'query', 'all')
      const of = query.get('instance_id')
      const backend = query.get('backend')
      const { offset, limit } = pageOf(query)
      const known = directory.list(
        (p) =>
          (tier === 'all' || p.tier === tier) && (!of || p.instance_id === of) && (!backend || p.backend === backend),
      )
      const keys = known
        .slice(offset, offset + limit)
        .map(({ key, placements, accesses }) => ({ key, placements, num_tokens: 0, access_count: accesses }))
      return { status: 200, json: { total: known.length, keys } }
    },
    'POST /cache/pins': pins((keys) => directory.pin(keys), 'pinned'),
    'DELETE /cache/pins': pins((keys) => directory.unpin(keys), 'unpinned'),
    'GET /cache/pins': ({ query }) => {
      const salt = query.get('cache_salt')
      const model = query.get('model_name')
      const { offset, limit } = pageOf(query)
      const all = directory
        .pins()
        .filter(({ key }) => (!salt || key.cache_salt === salt) && (!model || key.model_name === model))
      const page = all.slice(offset, offset + limit).map(({ key, count }) => ({ key, pin_count: count }))
      return { status: 200, json: { total: all.length, pins: page } }
    },
    'POST /cache/prefetches': (request) => prefetch(instances, bodyOf(request)),
    'GET /cache/prefetches/:instance/:id': async ({ params }) => {
      const instance = requireInstance(instances, params.instance)
      return reach(instance, 'prefetch status from', 'GET', `/cache/prefetches/${params.id}`, undefined)
    },
    'POST /cache/delete': async (request): Promise<Answer> => {
      const body = bodyOf(request)
      requireBodyFields(body, ['instance_id', 'model_name', 'world_size'])
      const instance = requireInstance(instances, body.instance_id)
      const tier = tierOf(body.tier, 'body', 'all')
      const { keys, chunks } = resolve(body)
      const answer = { instance_id: instance.node.id, requested: chunks, affected: 0, skipped: 0, status: 'noop' }
      if (chunks === 0) return { status: 200, json: answer }
      const force = body.force === true
      // Pins block only unforced deletes that include L2: docs/engine-behavior.md#pins.
      const held = tier !== 'l1' && !force ? keys.filter((key) => directory.pinned(key)) : []
      const free = keys.filter((key) => !held.includes(key))
      let affected = 0
      if (free.length > 0) {
        const deleted = await reach(instance, 'delete to', 'DELETE', '/cache/objects', {
          keys: free,
          tier,
          force,
        })
        affected = 'json' in deleted ? Number((deleted.json as JsonObject).deleted) : 0
      }
      if (force && tier !== 'l1') directory.dropPins(keys)
      return { status: 200, json: { ...answer, affected, skipped: held.length, status: 'deleted' } }
    },
    ...quotaRoutes(directory, settings),
  }
}

function requireInstance(instances: readonly Instance[], id: unknown): Instance {
  const instance = instances.find(({ node }) => node.id === id)
  if (instance === undefined) throw detailError(404, `no MP server registered with instance_id='${String(id)}'`)
  return instance
}

/** Calls the instance. An error becomes a 502, except for a poll, whose answer is relayed. */
async function reach(
  { node, routes }: Instance,
  what: string,
  method: string,
  path: string,
  body: unknown,
): Promise<Answer> {
  const failed = (why: string) => detailError(502, `${what} '${node.id}' failed: ${why}`)
  if (!node.up) throw failed('All connection attempts failed')
  try {
    return await callRoute(routes, method, path, body)
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    if (method === 'GET') return { status: error.status, json: error.json }
    const url = `${node.urls.lmcache}${path}`
    const kind =
      error.status >= 500 ? `Server error '${error.status} Service Unavailable'` : `Client error '${error.status}'`
    const more = `For more information check: https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/${error.status}`
    throw failed(`${kind} for url '${url}'\n${more}`)
  }
}

/** Calls one of the instance's routes, without a socket. */
async function callRoute(routes: Routes, method: string, path: string, body: unknown): Promise<Answer> {
  const { handler, params } = findRoute(routes, method, path)
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body))
  const signal = new AbortController().signal
  return handler({ method, path, query: new URLSearchParams(), params, headers: {}, body: bytes, signal })
}

async function prefetch(instances: readonly Instance[], body: JsonObject): Promise<Answer> {
  requireBodyFields(body, ['instance_id', 'model_name', 'world_size'])
  const instance = requireInstance(instances, body.instance_id)
  const { instance_id: _, ...rest } = body
  const request = { token_ids: [], ...rest }
  const answer = await reach(instance, 'prefetch submit to', 'POST', '/cache/prefetches', request)
  const json = 'json' in answer ? (answer.json as JsonObject) : {}
  const { request_id = '', chunks = 0, status = 'submitted' } = json
  return { status: 200, json: { instance_id: instance.node.id, request_id, chunks, status } }
}

function lookup(settings: SimSettings, directory: Directory, body: JsonObject): unknown {
  const given = objectKeys(body.keys)
  const sequence = sequenceOf(body)
  const invalid = (msg: string) =>
    detailError(422, [
      { type: 'value_error', loc: ['body'], msg: `Value error, ${msg}`, input: body, ctx: { error: {} } },
    ])
  if (given.length > 0 === sequence.token_ids.length > 0) throw invalid("supply exactly one of 'keys' or 'token_ids'")
  if (given.length === 0 && sequence.model_name === '') throw invalid("'model_name' is required with 'token_ids'")
  const { keys, chunks } =
    given.length > 0 ? { keys: given, chunks: given.length } : keysOf(sequence, settings.coordinatorChunkSize)
  const results = keys.map((key) => {
    const { placements, accesses } = directory.lookup(key)
    return { key, placements, token_ids: [], access_count: accesses }
  })
  return { chunks, results }
}

function stats(settings: SimSettings, directory: Directory, nodes: readonly LmcacheNode[]): unknown {
  const known = directory.list(() => true)
  const placements = known.flatMap((entry) => entry.placements)
  const l1Of = (id?: string) =>
    placements.filter((p) => p.tier === 'l1' && (id === undefined || p.instance_id === id)).length
  const byInstance = nodes.map((node) => [node.id, l1Of(node.id)] as const).filter(([, count]) => count > 0)
  const l1 = l1Of()
  const l2 = placements.length - l1
  return {
    num_keys: known.length,
    num_placements: placements.length,
    l1_keys_by_instance: Object.fromEntries(byInstance),
    blend: { num_contents: 0, num_chunks: 0, num_claims: 0, num_namespaces: 0, table_size: 1024 },
    l1_count: l1,
    l1_size_bytes: l1 * settings.chunkBytes,
    l2_count: l2,
    l2_size_bytes: l2 * settings.chunkBytes,
  }
}

function instanceJson(node: LmcacheNode): unknown {
  const { hostname, port } = new URL(node.urls.lmcache)
  return {
    instance_id: node.id,
    ip: hostname,
    http_port: Number(port),
    registration_time: node.registeredAt,
    metadata: {},
    p2p_advertised_url: '',
    mq_port: 0,
  }
}

function usageJson(settings: SimSettings, directory: Directory, id: string): unknown {
  const placements = directory.list((p) => p.instance_id === id).flatMap((entry) => entry.placements)
  const module = (tier: Placement['tier'], backend: string, capacity: number) => {
    const used = placements.filter((p) => p.tier === tier && p.backend === backend).length * settings.chunkBytes
    const ratio = capacity > 0 ? used / capacity : null
    return { tier, backend, shared: false, used_bytes: used, capacity_bytes: capacity, usage_ratio: ratio }
  }
  return {
    instance_id: id,
    registered: true,
    declared_capacity: true,
    modules: [module('l1', 'dram', settings.l1Bytes), ...settings.l2Adapters.map((name) => module('l2', name, 0))],
  }
}
