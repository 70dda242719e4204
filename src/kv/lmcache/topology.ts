// What was found of an LMCache fleet: the coordinator, its servers, the engines on them, and what an operator should know.

/** An engine attached to a server, by the names that LMCache's keys use. */
export interface AttachedEngine {
  /** The engine's own model path (`root` of /v1/models). */
  readonly engineName: string
  readonly worldSize: number
}

export interface LmcacheServer {
  /** Absent when neither the coordinator nor the server's `/config` told it. */
  readonly instanceId?: string
  readonly url: string
  readonly reachable: boolean
  /** The coordinator lists it. */
  readonly registered: boolean
  /** Tokens per chunk; null where unknown. */
  readonly chunkSize: number | null
  readonly hashAlgorithm: string | null
  /** L2 adapters (`fs`, `resp`, …), primary first; null where unknown. */
  readonly backends: readonly string[] | null
  readonly engines: readonly AttachedEngine[]
  /**
   * Some L2 adapter evicts by `IsolatedLRU`: a salt without a quota is wiped from it within a second. Null where unknown.
   */
  readonly isolatedLru: boolean | null
  /** Its object groups are kept apart, so that a key names one of several; null where unknown. */
  readonly separateObjectGroups: boolean | null
  /** Addresses of L2 adapters that have one (Redis), `host:port` as the server sees them. */
  readonly adapterAddresses: readonly string[]
  /** Whether the server reports its chunks to the coordinator; null where unknown. */
  readonly eventReporting: boolean | null
}

export interface LmcacheTopology {
  /** Absent: LMCache runs without a coordinator, or it did not answer (a warning says so). */
  readonly coordinatorUrl?: string
  /** The coordinator takes pins. */
  readonly pins: boolean
  /** A directory exists and at least one server reports to it. */
  readonly directory: boolean
  /** Of the whole fleet; null where unknown or where the servers differ (a warning says so). */
  readonly chunkSize: number | null
  readonly hashAlgorithm: string | null
  readonly servers: readonly LmcacheServer[]
  /** Of all servers, each once. */
  readonly engines: readonly AttachedEngine[]
  /** Words for an operator, without secrets. */
  readonly warnings: readonly string[]
}
