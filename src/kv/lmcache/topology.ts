// The discovered LMCache fleet: the coordinator, its servers, their engines, and warnings for an operator.

/** An engine attached to a server, by the names in LMCache's keys. */
export interface AttachedEngine {
  /** The engine's own model path (`root` of /v1/models). */
  readonly engineName: string
  readonly worldSize: number
}

/** What a server reports of one of its L2 adapters. */
export interface L2AdapterFacts {
  /** `fs`, `resp`, … */
  readonly type: string
  /** It was started with `"shared": true`; null if the server does not report it. */
  readonly shared: boolean | null
  /** `host:port` as the server sees it; undefined for adapters without an address. */
  readonly address: string | undefined
}

export interface LmcacheServer {
  /** Absent if neither the coordinator nor the server's `/config` reported it. */
  readonly instanceId?: string
  readonly url: string
  readonly reachable: boolean
  /** The coordinator lists it. */
  readonly registered: boolean
  /** Tokens per chunk; null if unknown. */
  readonly chunkSize: number | null
  readonly hashAlgorithm: string | null
  /** L2 adapters (`fs`, `resp`, …), primary first; null if unknown. */
  readonly backends: readonly string[] | null
  /** The same adapters, in the same order. */
  readonly adapters: readonly L2AdapterFacts[] | null
  readonly engines: readonly AttachedEngine[]
  /**
   * Some L2 adapter evicts by `IsolatedLRU`, which wipes a salt without a quota within a second. Null if unknown.
   */
  readonly isolatedLru: boolean | null
  /** Its object groups are separated, so a key names one of several; null if unknown. */
  readonly separateObjectGroups: boolean | null
  /** Addresses of L2 adapters that have one (Redis), `host:port` as the server sees them. */
  readonly adapterAddresses: readonly string[]
  /** Whether the server reports its chunks to the coordinator; null if unknown. */
  readonly eventReporting: boolean | null
}

export interface LmcacheTopology {
  /** Absent: LMCache runs without a coordinator, or it did not answer (see the warnings). */
  readonly coordinatorUrl?: string
  /** The coordinator accepts pins. */
  readonly pins: boolean
  /** A directory exists and at least one server reports to it. */
  readonly directory: boolean
  /** Of the whole fleet; null if unknown or if the servers differ (see the warnings). */
  readonly chunkSize: number | null
  readonly hashAlgorithm: string | null
  readonly servers: readonly LmcacheServer[]
  /** By adapter type, whether all servers share the storage behind it; null if unknown, or if there is one server. */
  readonly sharedL2: ReadonlyMap<string, boolean | null>
  /** How many servers the settings name for engines; absent if unknown. Those that are away are not in the list. */
  readonly expectedServers?: number
  /** Of all servers, each once. */
  readonly engines: readonly AttachedEngine[]
  /** For an operator, without secrets. */
  readonly warnings: readonly string[]
}

/** The server with this instance id. */
export function findById({ servers }: Pick<LmcacheTopology, 'servers'>, id: string): LmcacheServer | undefined {
  return servers.find(({ instanceId }) => instanceId === id)
}

/** Whether a server answers, and knows the engine. */
export function isAttached({ reachable, engines }: LmcacheServer, engineName: string): boolean {
  return reachable && engines.some((engine) => engine.engineName === engineName)
}
