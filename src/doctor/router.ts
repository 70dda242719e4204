// Recognizes the router at an address by endpoints and headers that only it has, and reports defaults that HTTP does not show.

import { isObject, type JsonValue, parseJson } from '../base/json.ts'
import type { Facts } from './facts.ts'

export interface SeenRouter {
  /** Display name. */
  readonly name: string
  /** The value of the setting `affinity` that suits it. */
  readonly affinity: string
  /** Engines behind it; undefined if it does not say. */
  readonly workers?: number
  readonly unhealthy?: number
  /** What to start it with, and why. */
  readonly advice: string
}

/**
 * Defaults of vllm-router 0.1.17 (vllm-project/router, py_src/vllm_router/router_args.py): health checks each 60 s, three failures, breaker
 * after ten, five retries, policy cache_aware.
 */
const VLLM_ROUTER_ADVICE =
  'HTTP does not show its flags. Start it with --policy consistent_hash, because its default (cache_aware) ignores the affinity header. Add --health-check-interval-secs 5 --health-failure-threshold 2 --cb-failure-threshold 3: by default it sends requests to a dead engine for up to three minutes. Add --retry-max-retries 1: by default it repeats a failed request up to five times, so an engine may compute it twice. It drops cache_salt on /v1/embeddings and rerank: send those to the engines directly'

const OTHER_ADVICE =
  'HTTP does not show its flags: it must hash the affinity header, check the health of engines every few seconds, and not repeat a request that an engine may have started'

/** Undefined if the address looks like an engine itself. Never throws. */
export function seenRouter(facts: Facts): Promise<SeenRouter | undefined> {
  return facts.once('router', async () => {
    for (const recognize of [vllmRouter, productionStack, dynamo, byHeaders]) {
      const found = await recognize(facts).catch(() => undefined)
      if (found !== undefined) return found
    }
    return undefined
  })
}

async function jsonOf(facts: Facts, path: string): Promise<JsonValue | undefined> {
  const { status, text } = await facts.ask('GET', path)
  return status === 200 ? parseJson(text) : undefined
}

/** `/workers` and `/list_workers` of its src/server.rs; SGLang's gateway, of which it is a fork, has both too. */
async function vllmRouter(facts: Facts): Promise<SeenRouter | undefined> {
  const known = { name: "vllm-router (or SGLang's gateway)", affinity: 'vllm-router', advice: VLLM_ROUTER_ADVICE }
  const detailed = await jsonOf(facts, '/workers')
  if (isObject(detailed) && Array.isArray(detailed.workers)) {
    const workers = detailed.workers as readonly JsonValue[]
    const unhealthy = workers.filter((worker) => isObject(worker) && worker.is_healthy === false).length
    return { ...known, workers: workers.length, unhealthy }
  }
  const listed = await jsonOf(facts, '/list_workers')
  return isObject(listed) && Array.isArray(listed.urls) ? { ...known, workers: listed.urls.length } : undefined
}

/** `/engines` of its src/vllm_router/routers/main_router.py. */
async function productionStack(facts: Facts): Promise<SeenRouter | undefined> {
  const engines = await jsonOf(facts, '/engines')
  if (!Array.isArray(engines)) return undefined
  const cards = engines as readonly JsonValue[]
  if (!cards.every((card) => isObject(card) && Object.hasOwn(card, 'engine_id'))) return undefined
  return {
    name: "vLLM's production stack",
    affinity: 'header:x-session-id',
    workers: cards.length,
    advice: `${OTHER_ADVICE}: --routing-logic session --session-key with the name of the header`,
  }
}

/** `/health` of Dynamo's frontend lists its instances. */
async function dynamo(facts: Facts): Promise<SeenRouter | undefined> {
  const health = await jsonOf(facts, '/health')
  if (!isObject(health) || !Array.isArray(health.instances)) return undefined
  const advice = `${OTHER_ADVICE}: --router-mode kv --router-session-affinity-ttl-secs`
  return { name: 'Dynamo', affinity: 'dynamo', advice }
}

/** AIBrix and llm-d run behind Envoy, and may name the pod in a header. */
async function byHeaders(facts: Facts): Promise<SeenRouter | undefined> {
  const { headers } = await facts.ask('GET', '/v1/models')
  if (headers.has('target-pod')) return { name: 'AIBrix', affinity: 'aibrix', advice: OTHER_ADVICE }
  if (headers.has('x-gateway-destination-endpoint-served'))
    return { name: 'llm-d', affinity: 'llm-d', advice: OTHER_ADVICE }
  const server = headers.get('server')?.toLowerCase() ?? ''
  const proxy = ['envoy', 'nginx', 'caddy', 'haproxy', 'traefik'].find((name) => server.startsWith(name))
  if (proxy === undefined) return undefined
  return { name: `a proxy (${proxy})`, affinity: 'header:x-session-id', advice: OTHER_ADVICE }
}
