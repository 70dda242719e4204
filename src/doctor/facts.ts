// What the checks rely on, determined once and on first use: models, LMCache, and the probe that the live proofs share.

import { randomBytes, randomInt } from 'node:crypto'
import { CwmError } from '../base/errors.ts'
import type { Engine, EngineModel } from '../engines/engine.ts'
import type { LmcacheConnection } from '../kv/lmcache/connector.ts'
import type { PrefetchResult } from '../kv/lmcache/prefetch.ts'
import type { ChunkKeys, Sequence } from '../kv/lmcache/sequence.ts'
import type { LmcacheTopology } from '../kv/lmcache/topology.ts'
import type { RedisMemory } from '../store/redis/redis-memory.ts'
import type { Finding } from './finding.ts'

export interface PlainAnswer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  readonly ms: number
}

export interface DoctorParts {
  readonly engine: Pick<Engine, 'warm' | 'models'>
  /** Opens LMCache as configured; undefined if it is not. Throws if no configured address answers. */
  readonly openLmcache: () => Promise<LmcacheConnection | undefined>
  /** Sends a request to the upstream and accepts any status. Throws `UPSTREAM_REFUSED`. */
  readonly ask: (method: 'GET' | 'POST', path: string, signal: AbortSignal) => Promise<PlainAnswer>
  /** The memory limit and eviction policy of a Redis. */
  readonly redisMemory: (address: string) => Promise<RedisMemory>
  readonly checkStore: () => Promise<Finding>
  readonly checkSecret: () => Promise<Finding>
  readonly apiKey: string | undefined
  /** Served name to probe with. Default: the first one listed. */
  readonly model: string | undefined
  /** Whether the engine's own cache may be reset, which affects all its users. */
  readonly resetEngineCache: boolean
  /** How long to wait for chunks to appear in a tier after they were stored, and to disappear after a delete, milliseconds. */
  readonly settleTimeoutMs: number
  readonly now: () => number
}

/** Cached tokens per call of the probe; undefined if the engine does not report them. */
export interface Probe {
  readonly tokens: number
  readonly chunkSize: number
  /** Number of whole chunks, which LMCache can store. */
  readonly chunks: number
  /** First call under an unused salt, the same again, then under another unused salt. */
  readonly first: number | undefined
  readonly second: number | undefined
  readonly other: number | undefined
  /** Duration of the first and second call, milliseconds. */
  readonly coldMs: number
  readonly warmMs: number
}

const DEFAULT_CHUNK_SIZE = 256
/** Whole chunks in the probe. It also has some blocks beyond them, which LMCache does not store. */
const CHUNKS = 2
const SALT_BYTES = 16
const PREFETCH_DEADLINE_MS = 5_000
/** Token ids of ordinary text in every vocabulary. Lower ids are punctuation, bytes, and control tokens. */
const [LOWEST_ID, HIGHEST_ID] = [300, 1_000]

export class Facts {
  readonly parts: DoctorParts
  /** Aborts when the current check or the whole run times out. */
  signal: AbortSignal
  /** Random salts that were never used before. They are sent to the engine, and never appear in reports. */
  readonly salts = { own: randomSalt(), other: randomSalt(), unused: randomSalt() }
  readonly #known = new Map<string, Promise<unknown>>()
  #ids: readonly number[] | undefined

  constructor(parts: DoctorParts, signal: AbortSignal) {
    this.parts = parts
    this.signal = signal
  }

  /** The model to probe. Throws `UPSTREAM_REJECTED` if the engine does not list it. */
  model(): Promise<EngineModel> {
    return this.#once('model', async () => {
      const listed = await this.parts.engine.models.list(this.parts.apiKey)
      const { model: wanted } = this.parts
      const found = wanted === undefined ? listed[0] : listed.find(({ id }) => id === wanted)
      if (found !== undefined) return found
      throw new CwmError(
        'UPSTREAM_REJECTED',
        wanted === undefined ? 'the engine lists no models' : `the engine does not list the model ${wanted}`,
      )
    })
  }

  /** Undefined if LMCache is not configured. */
  link(): Promise<LmcacheConnection | undefined> {
    return this.#once('link', () => this.parts.openLmcache())
  }

  /** The parts of LMCache's keys for this model; undefined without LMCache, or if the engine is not attached to it. */
  async keys(): Promise<ChunkKeys | undefined> {
    return (await this.link())?.keysOf((await this.model()).engineName)
  }

  /** Makes three calls with the same random prompt. */
  probe(): Promise<Probe> {
    return this.#once('probe', async () => {
      const { id, limit } = await this.model()
      const chunkSize = await this.#chunkSize()
      const wanted = CHUNKS * chunkSize + Math.floor(chunkSize / 2) + 1
      const tokens = Math.min(wanted, (limit ?? wanted + 1) - 1)
      const ids = Array.from({ length: tokens }, () => randomInt(LOWEST_ID, HIGHEST_ID))
      this.#ids = ids
      const warm = async (salt: string) => {
        const sent = performance.now()
        const { engine, apiKey } = this.parts
        const { cachedTokens } = await engine.warm(
          { model: id, tokenIds: Uint32Array.from(ids), salt },
          { apiKey, signal: this.signal },
        )
        return { cached: cachedTokens, ms: performance.now() - sent }
      }
      const first = await warm(this.salts.own)
      const second = await warm(this.salts.own)
      const other = await warm(this.salts.other)
      return {
        tokens,
        chunkSize,
        chunks: Math.floor(tokens / chunkSize),
        first: first.cached,
        second: second.cached,
        other: other.cached,
        coldMs: first.ms,
        warmMs: second.ms,
      }
    })
  }

  /** Sends the probe's prompt again under one of the salts. Returns how many tokens were cached. */
  async probeAgain(salt: keyof Facts['salts']): Promise<number | undefined> {
    await this.probe()
    const { id } = await this.model()
    const { engine, apiKey } = this.parts
    const call = { model: id, tokenIds: Uint32Array.from(this.#ids ?? []), salt: this.salts[salt] }
    return (await engine.warm(call, { apiKey, signal: this.signal })).cachedTokens
  }

  /** The probe's prompt under one of the salts, as LMCache addresses it; undefined if its keys are unknown. */
  async sequence(salt: keyof Facts['salts']): Promise<Sequence | undefined> {
    await this.probe()
    const keys = await this.keys()
    return keys === undefined ? undefined : { tokenIds: this.#ids ?? [], salt: this.salts[salt], keys }
  }

  /** Whether the prompt was sent, so that there may be chunks to clean up. */
  get hasProbed(): boolean {
    return this.#ids !== undefined
  }

  /** How many of the probe's chunks LMCache itself finds under the salt, in any tier. */
  async prefetch(salt: keyof Facts['salts']): Promise<PrefetchResult | undefined> {
    const [link, sequence] = [await this.link(), await this.sequence(salt)]
    if (link === undefined || sequence === undefined) return undefined
    return await link.client.prefetch(sequence, { deadlineMs: PREFETCH_DEADLINE_MS, signal: this.signal })
  }

  /** LMCache's chunk size, or the default if it does not answer, which another check reports. */
  async #chunkSize(): Promise<number> {
    const link = await this.link().catch(() => undefined)
    return link?.topology.chunkSize ?? DEFAULT_CHUNK_SIZE
  }

  #once<T>(name: string, find: () => Promise<T>): Promise<T> {
    const known = (this.#known.get(name) ?? find()) as Promise<T>
    this.#known.set(name, known)
    return known
  }
}

/** Differences between coordinator and servers in how they cut and name chunks. */
export function chunkingMismatches({ warnings }: LmcacheTopology): readonly string[] {
  return warnings.filter((words) => /chunk[ -]size|hash algorithm/.test(words))
}

function randomSalt(): string {
  return `cwm-doctor-${randomBytes(SALT_BYTES).toString('hex')}`
}
