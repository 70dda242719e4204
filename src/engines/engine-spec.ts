// What the settings say about one engine of several.

export interface EngineSpec {
  /** `http://host:port`, optionally with a base path or a trailing `/v1`. Its normal form identifies the engine (`engineIdOf`). */
  readonly url: string
  /** Its share of new lineages, relative to the other engines. 0: it gets none while another engine is healthy. */
  readonly weight: number
  /** Sent to this engine instead of any other key. Absent: requests keep the key that they have. */
  readonly apiKey?: string
  /** The instance id of the LMCache server that the engine is attached to. Absent: unknown, or there is none. */
  readonly kvServer?: string
  /** Whether it gets no new work. Absent: it does. */
  readonly drain?: boolean
}
