// Startup messages about what was detected. Missing parts do not prevent the start, because engines start slowly.

import { toCwmError } from '../base/errors.ts'
import type { Settings } from '../config/schema.ts'
import { isFleet } from '../config/upstreams.ts'
import type { EngineModel } from '../engines/engine.ts'
import type { EngineFleet, FleetMember } from '../engines/fleet.ts'
import type { LmcacheConnector } from '../kv/lmcache/connector.ts'

/** Maximum lines of one kind, for an engine with many models or a file with many names. */
const MAX_NAMED = 10

export interface DiscoveryParts {
  readonly settings: Settings
  readonly fleet: Pick<EngineFleet, 'members'>
  readonly lmcache: LmcacheConnector
  /** Where the store is and where the secret came from. */
  readonly store: string
}

/** Queries engine and LMCache once and describes their answers. */
export async function discoverUpstream(parts: DiscoveryParts): Promise<readonly string[]> {
  const { settings, store } = parts
  return [
    ...(await describeEngines(parts)),
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

interface DescribedEngine {
  readonly lines: readonly string[]
  /** Undefined if it did not answer. */
  readonly models: readonly string[] | undefined
}

/** Asks all engines of a fleet at the same time, so that several that do not answer cost no more time than one. */
async function describeEngines({ settings, fleet }: DiscoveryParts): Promise<string[]> {
  const members = fleet.members()
  const described = await Promise.all(members.slice(0, MAX_NAMED).map((member) => describeEngine(settings, member)))
  const left = members.length - described.length
  const lines = described.flatMap((engine) => engine.lines)
  if (left > 0) lines.push(`          and ${left} more engines`)
  return [...lines, ...warnOfLimits(settings, described)]
}

/** Sessions of a misspelled model would use the engine's own limit. Reported only if all engines answered. */
function warnOfLimits({ limits }: Settings, described: readonly DescribedEngine[]): string[] {
  if (described.some(({ models }) => models === undefined)) return []
  const unknown = Object.keys(limits).filter((name) => !described.some(({ models }) => models?.includes(name)))
  return unknown
    .slice(0, MAX_NAMED)
    .map((name) => `          warning: the setting limits names ${name}, which no engine serves`)
}

async function describeEngine(settings: Settings, { url, state, engine }: FleetMember): Promise<DescribedEngine> {
  const isOne = !isFleet(settings.upstream)
  // A single engine is named as the settings write it.
  const name = isOne ? String(settings.upstream) : url
  const note = state === 'draining' ? ', draining' : ''
  try {
    const found = await engine.models.list(settings.upstream_api_key)
    const lines = found.slice(0, MAX_NAMED).map((model) => {
      const { id, engineName } = model
      const limit = describeLimit(model, Object.hasOwn(settings.limits, id) ? settings.limits[id] : undefined)
      return `engine    ${name} serves ${id} (${engineName}), limit ${limit}${note}`
    })
    if (lines.length === 0) lines.push(`engine    ${name} answers, but lists no models`)
    return { lines, models: found.map(({ id }) => id) }
  } catch (thrown) {
    const line = `engine    ${isOne ? '' : `${name} `}not ready: ${toCwmError(thrown).message}`
    return { lines: [line], models: undefined }
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
