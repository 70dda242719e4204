// Startup messages about what was detected. Missing parts do not prevent the start, because engines start slowly.

import { toCwmError } from '../base/errors.ts'
import type { Settings } from '../config/schema.ts'
import { describeUpstream } from '../config/upstreams.ts'
import type { Engine, EngineModel } from '../engines/engine.ts'
import type { LmcacheConnector } from '../kv/lmcache/connector.ts'

/** Maximum lines of one kind, for an engine with many models or a file with many names. */
const MAX_NAMED = 10

export interface DiscoveryParts {
  readonly settings: Settings
  readonly engine: Pick<Engine, 'models'>
  readonly lmcache: LmcacheConnector
  /** Where the store is and where the secret came from. */
  readonly store: string
}

/** Queries engine and LMCache once and describes their answers. */
export async function discoverUpstream(parts: DiscoveryParts): Promise<readonly string[]> {
  const { settings, store } = parts
  return [
    ...(await describeEngine(parts)),
    ...(await describeLmcache(parts)),
    store,
    `keys      ${describeKeys(settings)}`,
  ]
}

function describeKeys({ tenants, upstream_api_key: own }: Settings): string {
  if (tenants !== undefined) {
    const known = `${tenants.length} ${tenants.length === 1 ? 'tenant' : 'tenants'} in the settings; other keys are rejected`
    return `${known}; the engine gets ${own === undefined ? 'no key' : 'its own key'}`
  }
  if (own === undefined) return "the client's own key goes to the engine; each client key is a tenant"
  return 'the engine gets its own key for every client that reaches this port; each client key is a tenant'
}

async function describeEngine({ settings, engine }: DiscoveryParts): Promise<string[]> {
  try {
    const upstream = describeUpstream(settings.upstream)
    const found = await engine.models.list(settings.upstream_api_key)
    const lines = found.slice(0, MAX_NAMED).map((model) => {
      const { id, engineName } = model
      const limit = describeLimit(model, Object.hasOwn(settings.limits, id) ? settings.limits[id] : undefined)
      return `engine    ${upstream} serves ${id} (${engineName}), limit ${limit}`
    })
    if (lines.length === 0) lines.push(`engine    ${upstream} answers, but lists no models`)
    // Sessions of a misspelled model would use the engine's own limit.
    const unknown = Object.keys(settings.limits).filter((name) => !found.some(({ id }) => id === name))
    for (const name of unknown.slice(0, MAX_NAMED)) {
      lines.push(`          warning: the setting limits names ${name}, which the engine does not serve`)
    }
    return lines
  } catch (thrown) {
    return [`engine    not ready: ${toCwmError(thrown).message}`]
  }
}

/** The limit of a model's sessions, and where it comes from. `given`: the operator's setting `limits`. */
function describeLimit({ limit, contextLimit }: EngineModel, given: number | undefined): string {
  if (given === undefined || limit === undefined) return `${limit ?? 'unknown'} tokens`
  if (given > limit) return `${limit} tokens (the setting limits has ${given}, but the engine supports no more)`
  return `${contextLimit ?? given} tokens by the setting limits${limit === given ? '' : ` (the engine's is ${limit})`}`
}

async function describeLmcache({ lmcache }: DiscoveryParts): Promise<string[]> {
  if (!lmcache.configured) {
    return [
      "lmcache   not configured (--coordinator or --lmcache): windows keep their text, but their KV only as long as the engine's own cache",
    ]
  }
  try {
    const link = await lmcache.open()
    if (link === undefined) return []
    const { coordinatorUrl, pins, chunkSize, servers, warnings } = link.topology
    const backends = [...new Set(servers.flatMap((server) => server.backends ?? []))]
    return [
      `lmcache   ${servers.length} server${servers.length === 1 ? '' : 's'} (${servers.map((server) => server.url).join(', ')}), chunks of ${chunkSize ?? 'unknown'} tokens, L2: ${backends.join(', ') || 'none'}`,
      `          coordinator ${coordinatorUrl ?? 'none'}: ${pins ? 'pins and directory' : 'no pins'}`,
      ...warnings.map((warning) => `          warning: ${warning}`),
    ]
  } catch (thrown) {
    return [`lmcache   not ready: ${toCwmError(thrown).message}`]
  }
}
