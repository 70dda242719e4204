// Queries one LMCache server: status, configuration, adapters. Missing answers become warnings.

import { CwmError } from '../../base/errors.ts'
import type { Endpoint } from './http.ts'
import { adaptersSchema, type ConfigAnswer, configSchema, type StatusAnswer, statusSchema } from './schemas.ts'
import type { AttachedEngine, L2AdapterFacts, LmcacheServer } from './topology.ts'

/** LMCache's eviction policy with one list per salt, within the salt's quota. */
const isolatedLru = 'IsolatedLRU'

export interface ServerFacts {
  readonly server: Omit<LmcacheServer, 'registered'>
  /** From the server's configuration; empty if it has none. Unparsed. */
  readonly coordinatorUrl: string
  readonly warnings: readonly string[]
  /** Why it counts as unreachable. */
  readonly failure?: CwmError
}

/** Throws only on abort. A server that answers neither `/status` nor `/config` is not reachable. */
export async function askServer(
  endpoint: Endpoint,
  listedAs: string | undefined,
  signal?: AbortSignal,
): Promise<ServerFacts> {
  const name = listedAs === undefined ? endpoint.url : `${listedAs} (${endpoint.url})`
  const ask = { method: 'GET', signal } as const
  const [status, config, adapters] = await Promise.all([
    answerOrFailure(endpoint.call({ ...ask, path: '/status', schema: statusSchema }), signal),
    answerOrFailure(endpoint.call({ ...ask, path: '/config', schema: configSchema }), signal),
    answerOrFailure(endpoint.call({ ...ask, path: '/config/adapters', schema: adaptersSchema }), signal),
  ])
  const warnings = [status, config, adapters].flatMap((a) => (a instanceof CwmError ? [a.message] : []))
  const known = { status: answered(status), config: answered(config) }
  if (known.status === undefined && known.config === undefined) {
    const unknown = { reachable: false, backends: null, adapters: null }
    const server = { ...describe({}, listedAs), url: endpoint.url, ...unknown }
    const failure = status instanceof CwmError ? { failure: status } : {}
    return { server, coordinatorUrl: '', warnings: warnings.slice(0, 1), ...failure }
  }
  const l2 = answered(adapters)?.adapters.filter((a) => a.tier === 'l2')
  const backends = l2?.map((a) => a.type_name) ?? null
  return {
    server: {
      ...describe(known, listedAs),
      url: endpoint.url,
      reachable: true,
      backends,
      adapters: adapterFacts(backends, known.config),
    },
    coordinatorUrl: known.config?.coordinator?.url ?? '',
    warnings: [...warnings, ...serverWarnings(name, known, backends)],
  }
}

interface Known {
  readonly status?: StatusAnswer | undefined
  readonly config?: ConfigAnswer | undefined
}

function describe({ status, config }: Known, listedAs: string | undefined) {
  const instanceId = config?.mp?.instance_id || listedAs
  return {
    ...(instanceId === undefined ? {} : { instanceId }),
    chunkSize: status?.chunk_size ?? config?.mp?.chunk_size ?? null,
    hashAlgorithm: status?.hash_algorithm ?? config?.mp?.hash_algorithm ?? null,
    engines: uniqueEngines(
      [status?.cache_context_meta, status?.non_cuda_context_meta]
        .flatMap((meta) => Object.values(meta ?? {}))
        .map((meta) => ({ engineName: meta.model_name, worldSize: meta.world_size })),
    ),
    isolatedLru:
      status?.storage_manager?.l2_eviction_controller?.adapters.some((a) => a.eviction_policy === isolatedLru) ?? null,
    eventReporting: config?.coordinator?.event_reporting ?? null,
    separateObjectGroups: config?.mp?.separate_object_groups ?? null,
    adapterAddresses: (config?.storage_manager?.l2_adapter_config?.adapters ?? []).flatMap(
      (adapter) => addressOf(adapter) ?? [],
    ),
  }
}

/** `/config` lists the adapters of the start without their types, `/config/adapters` the types of those that run now, in the same order. */
function adapterFacts(types: readonly string[] | null, config: ConfigAnswer | undefined): L2AdapterFacts[] | null {
  const settings = config?.storage_manager?.l2_adapter_config?.adapters ?? []
  return (
    types?.map((type, i) => {
      const adapter = settings.length === types.length ? settings[i] : undefined
      return { type, shared: adapter?.shared ?? null, address: addressOf(adapter) }
    }) ?? null
  )
}

function addressOf(
  adapter: { host?: string | null | undefined; port?: number | null | undefined } | undefined,
): string | undefined {
  return adapter?.host == null || adapter.port == null ? undefined : `${adapter.host}:${adapter.port}`
}

function serverWarnings(name: string, { status, config }: Known, backends: readonly string[] | null): string[] {
  const twice = backends?.find((backend, i) => backends.indexOf(backend) !== i)
  return [
    status?.is_healthy === false && `LMCache server ${name} reports itself as unhealthy`,
    config?.coordinator?.url &&
      config.coordinator.event_reporting === false &&
      `LMCache server ${name} does not report its chunks (--coordinator-event-reporting): the directory will not show them`,
    config?.mp?.separate_object_groups === true &&
      `LMCache server ${name} separates object groups; start it with --no-separate-object-groups`,
    backends?.length === 0 && `LMCache server ${name} has no L2 adapter: its chunks do not outlive its memory`,
    twice !== undefined && `LMCache server ${name} has several ${twice} adapters: a deletion only reaches the first`,
  ].filter((remark) => typeof remark === 'string' && remark !== '') as string[]
}

/** Each engine once. */
export function uniqueEngines(engines: readonly AttachedEngine[]): AttachedEngine[] {
  return [...new Map(engines.map((e) => [JSON.stringify([e.engineName, e.worldSize]), e])).values()]
}

/** Returns a CwmError as a value; throws on abort and for any other error. */
export async function answerOrFailure<T>(answer: Promise<T>, signal?: AbortSignal): Promise<T | CwmError> {
  try {
    return await answer
  } catch (thrown) {
    signal?.throwIfAborted()
    if (thrown instanceof CwmError) return thrown
    throw thrown
  }
}

function answered<T>(answer: T | CwmError): T | undefined {
  return answer instanceof CwmError ? undefined : answer
}
