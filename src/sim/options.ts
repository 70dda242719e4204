// Options of a simulated stack. The defaults suit tests: no delays, a small context limit, everything enabled.

/** A LoRA adapter served beside the base model. LMCache's keys do not contain it: docs/engine-behavior.md#chunk-keys. */
export interface SimAdapter {
  readonly name: string
  readonly path: string
}

/** What an engine may have of its own. */
export type EngineOptions = Pick<
  SimOptions,
  'model' | 'root' | 'adapters' | 'maxModelLen' | 'preamble' | 'dtype' | 'chunkSize' | 'connector'
>

export interface SimOptions {
  /** Address to listen on; default `127.0.0.1`. */
  readonly host?: string
  /** Ports; default 0: any free port. */
  readonly enginePort?: number
  readonly lmcachePort?: number
  readonly coordinatorPort?: number
  /** The name that clients send; default `sim-model`. */
  readonly model?: string
  /** The engine's own name, in `/v1/models` as `root` and in LMCache's keys; default `./sim/engine-model`. */
  readonly root?: string
  readonly adapters?: readonly SimAdapter[]
  /** `max_model_len` in tokens; default 8192. */
  readonly maxModelLen?: number
  /** Tokens per block of the engine's prefix cache; default 16 (vLLM's CPU build has 128). */
  readonly blockSize?: number
  /** Blocks in the prefix cache; default 16384. */
  readonly cacheBlocks?: number
  /** Tokens per LMCache chunk; default 256. */
  readonly chunkSize?: number
  /** Bytes per chunk and rank; default 2 MiB, as recorded. */
  readonly chunkBytes?: number
  /** Bytes of LMCache's L1; default 1 GiB. Least recently used chunks go first. */
  readonly l1Bytes?: number
  /** Bytes of each L2 adapter; default 16 GiB. Least recently used chunks go first. */
  readonly l2Bytes?: number
  /** The engine's KV data type; default `float32`. LMCache's keys do not contain it: see `sim.changeDtype`. */
  readonly dtype?: string
  /** A system line that the chat template adds, as some templates do; default none. */
  readonly preamble?: string
  /** Ranks; default 1. Each chunk has one key per rank. */
  readonly worldSize?: number
  /** `instance_id` of the first LMCache server; default `node-a`. */
  readonly instanceId?: string
  /** Engines, each with its own prefix cache and its own LMCache server. Default 1. All have the same settings, except `engineOptions`. */
  readonly engines?: number
  /** What differs per engine, the first one first. */
  readonly engineOptions?: readonly EngineOptions[]
  /**
   * LMCache servers, each with its own L1 and L2; the second is `node-b`, the third `node-c`. Default: one per engine. Those beyond the
   * engines have none attached.
   */
  readonly servers?: number
  /** Types of the L2 adapters, the primary one first; default `['fs', 'resp']`. */
  readonly l2Adapters?: readonly string[]
  /** Types of L2 adapters whose storage all servers share; default none: each server has its own. */
  readonly sharedL2?: readonly string[]
  /** Types of L2 adapters that were started with `"shared": true`, whether true or not; default none. */
  readonly declaredShared?: readonly string[]
  /** Where a `resp` adapter's Redis is, as `/config` shows it; default: it shows none. No connection is made. */
  readonly redisAddress?: { readonly host: string; readonly port: number }
  /** L2 adapters that accept deletes but ignore them, as some of LMCache's do; default none. */
  readonly undeletableAdapters?: readonly string[]
  /** Every adapter evicts by IsolatedLRU: objects of a salt without a quota are evicted `eventFlushMs` later; default false. */
  readonly isolatedLru?: boolean
  /** Prefill speed for uncached tokens; default `Infinity`, no delay. */
  readonly prefillTokensPerSecond?: number
  /** Load speed for restored tokens; default `Infinity`. */
  readonly loadTokensPerSecond?: number
  /** Decode speed; default `Infinity`. */
  readonly decodeTokensPerSecond?: number
  /** Milliseconds until the directory shows a placement; default 10 (LMCache flushes once a second). */
  readonly eventFlushMs?: number
  /** Milliseconds a prefetch stays `pending`; default 0. */
  readonly prefetchMs?: number
  /** `--enable-prompt-tokens-details`; default true. Without it, answers have no `cached_tokens`. */
  readonly promptTokensDetails?: boolean
  /** `--enable-prefix-caching`; default true. Without it, the engine caches nothing itself, and only LMCache restores whole chunks. */
  readonly prefixCaching?: boolean
  /**
   * How the engine uses LMCache; default `multiprocess`. `in-process` is `LMCacheConnectorV1` on a GPU: it ignores salts and no server sees
   * it. `in-process on CPU` starts the same way but stores nothing. See docs/engine-behavior.md#connector.
   */
  readonly connector?: 'multiprocess' | 'in-process' | 'in-process on CPU'
  /** The coordinator's own `--chunk-size`; default: the servers'. */
  readonly coordinatorChunkSize?: number
  /** `--coordinator-event-reporting`; default true. Without it the directory stays empty. */
  readonly eventReporting?: boolean
  /** Servers use separate object groups, as without `--no-separate-object-groups`; default false. */
  readonly separateObjectGroups?: boolean
  /** `--enable-scale-out`: the render endpoints; default false, as in vLLM. */
  readonly scaleOut?: boolean
  /** A multimodal model: each image becomes 64 placeholder tokens. Default false: 400, as from a text model. */
  readonly images?: boolean
  /** `--exclude-tools-when-tool-choice-none`; default false, as in vLLM. */
  readonly excludeToolsWhenNone?: boolean
  /** Whether to run LMCache servers and a coordinator; default true. */
  readonly lmcache?: boolean
  /** Whether the directory survives `restartCoordinator()` (`--checkpoint-path`); default false. */
  readonly directoryCheckpoint?: boolean
  /** Requests kept in `sim.requests`; default 1000. Their bodies are limited to 64 MiB in total; the oldest requests are dropped first. */
  readonly requestLog?: number
}

export type SimSettings = Required<Omit<SimOptions, 'redisAddress'>> & Pick<SimOptions, 'redisAddress'>

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
  engines: 1,
  engineOptions: [],
  servers: 1,
  l2Adapters: ['fs', 'resp'],
  sharedL2: [],
  declaredShared: [],
  undeletableAdapters: [],
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
  excludeToolsWhenNone: false,
  lmcache: true,
  directoryCheckpoint: false,
  requestLog: 1000,
}

/** The options with every default filled in. */
export function settingsOf(options: SimOptions): SimSettings {
  const engines = options.engines ?? defaults.engines
  const servers = Math.max(engines, options.servers ?? engines)
  const coordinatorChunkSize = options.chunkSize ?? defaults.chunkSize
  return { ...defaults, coordinatorChunkSize, ...options, engines, servers }
}

/** The settings of one engine and its LMCache server; `index` counts from 0. */
export function settingsOfEngine(settings: SimSettings, index: number): SimSettings {
  return { ...settings, ...settings.engineOptions[index] }
}
