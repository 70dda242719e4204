// What is found at start, in lines for whoever started cwm. Nothing that is missing stops the start: engines come up slowly.

import { toCwmError } from '../base/errors.ts'
import type { Settings } from '../config/schema.ts'
import type { Engine, EngineModel } from '../engines/engine.ts'
import type { LmcacheConnector } from '../kv/lmcache/connector.ts'

/** Lines of one kind, of an engine with many models or a file with many names. */
const MAX_NAMED = 10

export interface DiscoveryParts {
  readonly settings: Settings
  readonly engine: Pick<Engine, 'models'>
  readonly lmcache: LmcacheConnector
  /** Where the store is and where the secret came from. */
  readonly store: string
}

/** Asks engine and LMCache once and words what they say. */
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
    const known = `${tenants.length} ${tenants.length === 1 ? 'tenant' : 'tenants'} in the settings; other keys are refused`
    return `${known}; the engine gets ${own === undefined ? 'no key' : 'its own key'}`
  }
  if (own === undefined) return "the client's own key goes to the engine; each client key is a tenant"
  return 'the engine gets its own key, whoever asks: who reaches this port uses it; each client key is a tenant'
}

async function describeEngine({ settings, engine }: DiscoveryParts): Promise<string[]> {
  try {
    const found = await engine.models.list(settings.upstream_api_key)
    const lines = found.slice(0, MAX_NAMED).map((model) => {
      const { id, engineName } = model
      const limit = describeLimit(model, Object.hasOwn(settings.limits, id) ? settings.limits[id] : undefined)
      return `engine    ${settings.upstream} serves ${id} (${engineName}), limit ${limit}`
    })
    if (lines.length === 0) lines.push(`engine    ${settings.upstream} answers, and lists no models`)
    // A misspelt name would leave its sessions at the engine's own limit.
    const unknown = Object.keys(settings.limits).filter((name) => !found.some(({ id }) => id === name))
    for (const name of unknown.slice(0, MAX_NAMED)) {
      lines.push(`          warning: limits names ${name}, which the engine does not serve`)
    }
    return lines
  } catch (thrown) {
    return [`engine    not yet: ${toCwmError(thrown).message}`]
  }
}

/** What sessions are held to, and whose word it is. `given`: the operator's, in the setting `limits`. */
function describeLimit({ limit, contextLimit }: EngineModel, given: number | undefined): string {
  if (given === undefined || limit === undefined) return `${limit ?? 'unknown'} tokens`
  if (given > limit) return `${limit} tokens (limits says ${given}, more than the engine takes)`
  return `${contextLimit ?? given} tokens by limits${limit === given ? '' : ` (the engine's is ${limit})`}`
}

async function describeLmcache({ lmcache }: DiscoveryParts): Promise<string[]> {
  if (!lmcache.configured) {
    return [
      "lmcache   none given (--coordinator or --lmcache): windows keep their text, and KV only while the engine's cache holds it",
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
    return [`lmcache   not yet: ${toCwmError(thrown).message}`]
  }
}
