// What a simulated stack can be told. Every default is chosen for tests: no delays, a small limit, everything switched on.

/** A LoRA adapter served beside the base model. LMCache's keys do not know it: see docs/engine-behavior.md#chunk-keys. */
export interface SimAdapter {
  readonly name: string
  readonly path: string
}

export interface SimOptions {
  /** Address to listen on; default `127.0.0.1`. */
  readonly host?: string
  /** Ports; default 0 each: any free one. */
  readonly enginePort?: number
  readonly lmcachePort?: number
  readonly coordinatorPort?: number
  /** Served name, what clients send; default `sim-model`. */
  readonly model?: string
  /** The engine's own name, in `/v1/models` as `root` and in LMCache's keys; default `./sim/engine-model`. */
  readonly root?: string
  readonly adapters?: readonly SimAdapter[]
  /** `max_model_len` in tokens; default 8192. */
  readonly maxModelLen?: number
  /** Tokens per block of the engine's prefix cache; default 16 (vLLM's CPU build has 128). */
  readonly blockSize?: number
  /** Blocks the prefix cache holds; default 16384. */
  readonly cacheBlocks?: number
  /** Tokens per LMCache chunk; default 256. */
  readonly chunkSize?: number
  /** Bytes one chunk of one rank weighs; default 2 MiB, as recorded. */
  readonly chunkBytes?: number
  /** Bytes of LMCache's L1; default 1 GiB. Least recently used chunks go first. */
  readonly l1Bytes?: number
  /** Bytes of each L2 adapter; default 16 GiB. Least recently used chunks go first. */
  readonly l2Bytes?: number
  /** What the engine computes KV in; default `float32`. LMCache's keys do not hold it: see `sim.changeDtype`. */
  readonly dtype?: string
  /** A system line that the chat template writes by itself, as another template might; default none. */
  readonly preamble?: string
  /** Ranks; default 1. Each chunk has one key per rank. */
  readonly worldSize?: number
  /** `instance_id` of the first LMCache server; default `node-a`. */
  readonly instanceId?: string
  /** LMCache servers, each with L1 and L2 of its own; the second is `node-b`. Default 1. The engine is attached to the first. */
  readonly servers?: 1 | 2
  /** Types of the L2 adapters, first is primary; default `['fs', 'resp']`. */
  readonly l2Adapters?: readonly string[]
  /** L2 adapters that answer a delete like any other and keep all, as LMCache's do that cannot delete; default none. */
  readonly keepingAdapters?: readonly string[]
  /** Every adapter evicts by IsolatedLRU: what a salt without a quota stores is wiped `eventFlushMs` later; default false. */
  readonly isolatedLru?: boolean
  /** Prefill speed over tokens that no cache holds; default `Infinity`, no delay. */
  readonly prefillTokensPerSecond?: number
  /** Speed at which a restored chunk is loaded; default `Infinity`. */
  readonly loadTokensPerSecond?: number
  /** Speed of the answer's tokens; default `Infinity`. */
  readonly decodeTokensPerSecond?: number
  /** Milliseconds until the directory learns a placement; default 10 (LMCache flushes once a second). */
  readonly eventFlushMs?: number
  /** Milliseconds a prefetch stays `pending`; default 0. */
  readonly prefetchMs?: number
  /** `--enable-prompt-tokens-details`; default true. Without it no answer says `cached_tokens`. */
  readonly promptTokensDetails?: boolean
  /** `--enable-prefix-caching`; default true. Without it the engine keeps nothing itself, and LMCache alone gives back whole chunks. */
  readonly prefixCaching?: boolean
  /**
   * How the engine is tied to LMCache; default `multiprocess`. `in-process` is `LMCacheConnectorV1` on a GPU: it ignores salts and
   * no server knows of it. `in-process on CPU` starts like it and stores nothing. See docs/engine-behavior.md#connector.
   */
  readonly connector?: 'multiprocess' | 'in-process' | 'in-process on CPU'
  /** The coordinator's own `--chunk-size`; default that of the servers. */
  readonly coordinatorChunkSize?: number
  /** `--coordinator-event-reporting`; default true. Without it the directory stays empty. */
  readonly eventReporting?: boolean
  /** Servers keep object groups apart, as they do without `--no-separate-object-groups`; default false. */
  readonly separateObjectGroups?: boolean
  /** `--enable-scale-out`: the render endpoints; default false, as in vLLM. */
  readonly scaleOut?: boolean
  /** A multimodal model: images become 64 placeholder tokens each; default false (400, as a text model does). */
  readonly images?: boolean
  /** Whether an LMCache server and a coordinator are attached at all; default true. */
  readonly lmcache?: boolean
  /** Whether the directory survives `restartCoordinator()` (`--checkpoint-path`); default false. */
  readonly directoryCheckpoint?: boolean
  /** Requests kept in `sim.requests`; default 1000. Bodies are kept whole up to 64 MiB in all, then dropped oldest first. */
  readonly requestLog?: number
}

export type SimSettings = Required<SimOptions>

const defaults: SimSettings = {
  host: '127.0.0.1',
  enginePort: 0,
  lmcachePort: 0,
  coordinatorPort: 0,
  model: 'sim-model',
  root: './sim/engine-model',
  adapters: [],
  maxModelLen: 8192,
  blockSize: 16,
  cacheBlocks: 16_384,
  chunkSize: 256,
  chunkBytes: 2 * 1024 * 1024,
  l1Bytes: 1024 ** 3,
  l2Bytes: 16 * 1024 ** 3,
  dtype: 'float32',
  preamble: '',
  worldSize: 1,
  instanceId: 'node-a',
  servers: 1,
  l2Adapters: ['fs', 'resp'],
  keepingAdapters: [],
  isolatedLru: false,
  prefillTokensPerSecond: Number.POSITIVE_INFINITY,
  loadTokensPerSecond: Number.POSITIVE_INFINITY,
  decodeTokensPerSecond: Number.POSITIVE_INFINITY,
  eventFlushMs: 10,
  prefetchMs: 0,
  promptTokensDetails: true,
  prefixCaching: true,
  connector: 'multiprocess',
  coordinatorChunkSize: 256,
  eventReporting: true,
  separateObjectGroups: false,
  scaleOut: false,
  images: false,
  lmcache: true,
  directoryCheckpoint: false,
  requestLog: 1000,
}

/** The options with every default filled in. */
export function settingsOf(options: SimOptions): SimSettings {
  return { ...defaults, coordinatorChunkSize: options.chunkSize ?? defaults.chunkSize, ...options }
}
