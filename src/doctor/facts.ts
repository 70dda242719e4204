// What the checks stand on, found once and when first needed: models, LMCache, and the probe that the live proofs share.

import { randomBytes, randomInt } from 'node:crypto'
import { CwmError } from '../base/errors.ts'
import type { Engine } from '../engines/engine.ts'
import type { EngineModel, EngineModels } from '../engines/models.ts'
import type { Link } from '../kv/lmcache/connector.ts'
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
  readonly engine: Pick<Engine, 'warm'>
  readonly models: Pick<EngineModels, 'list'>
  /** LMCache as configured; undefined where none is. Throws where nothing that was named answers. */
  readonly openLmcache: () => Promise<Link | undefined>
  /** Asks the upstream; any status is an answer. Throws `UPSTREAM_REFUSED`. */
  readonly ask: (method: 'GET' | 'POST', path: string, signal: AbortSignal) => Promise<PlainAnswer>
  /** How full a Redis may become and what it does then. */
  readonly redisMemory: (address: string) => Promise<RedisMemory>
  readonly checkStore: () => Promise<Finding>
  readonly checkSecret: () => Promise<Finding>
  readonly apiKey: string | undefined
  /** Served name to probe with; the first listed when absent. */
  readonly model: string | undefined
  /** The operator allows that the engine's own cache is emptied: everybody's. */
  readonly resetEngineCache: boolean
  /** Until what is not seen in any tier counts as not stored, and what is still seen as not deleted, milliseconds. */
  readonly settleTimeoutMs: number
  readonly now: () => number
}

/** Tokens that one call of the probe had cached; undefined where the engine does not say. */
export interface Probe {
  readonly tokens: number
  readonly chunkSize: number
  /** Whole chunks that LMCache can keep of it. */
  readonly chunks: number
  /** Under a salt never used before, then the same again, then under another salt never used. */
  readonly first: number | undefined
  readonly second: number | undefined
  readonly other: number | undefined
  /** Milliseconds of the first and second call. */
  readonly coldMs: number
  readonly warmMs: number
}

const DEFAULT_CHUNK_SIZE = 256
/** A whole number of chunks, and then some more blocks, which LMCache does not keep. */
const CHUNKS = 2
const SALT_BYTES = 16
const PREFETCH_DEADLINE_MS = 5_000
/** Ids of ordinary text in every vocabulary; the lowest are marks, bytes and control tokens. */
const [LOWEST_ID, HIGHEST_ID] = [300, 1_000]

export class Facts {
  readonly parts: DoctorParts
  /** Aborts when the check under way, or all of them, have taken too long. */
  signal: AbortSignal
  /** Never used before by anybody. They go to the engine and to nobody who reads reports. */
  readonly salts = { own: randomSalt(), other: randomSalt(), unused: randomSalt() }
  readonly #known = new Map<string, Promise<unknown>>()
  #ids: readonly number[] | undefined

  constructor(parts: DoctorParts, signal: AbortSignal) {
    this.parts = parts
    this.signal = signal
  }

  /** The model that is probed. Throws `UPSTREAM_REJECTED` where it is not listed. */
  model(): Promise<EngineModel> {
    return this.#once('model', async () => {
      const listed = await this.parts.models.list(this.parts.apiKey)
      const { model: wanted } = this.parts
      const found = wanted === undefined ? listed[0] : listed.find(({ id }) => id === wanted)
      if (found !== undefined) return found
      throw new CwmError(
        'UPSTREAM_REJECTED',
        wanted === undefined ? 'the engine lists no models' : `the engine lists no model ${wanted}`,
      )
    })
  }

  /** Undefined where no LMCache is configured. */
  link(): Promise<Link | undefined> {
    return this.#once('link', () => this.parts.openLmcache())
  }

  /** How LMCache names the model's chunks; undefined without LMCache, or where the engine is not attached to it. */
  async keys(): Promise<ChunkKeys | undefined> {
    return (await this.link())?.keysOf((await this.model()).engineName)
  }

  /** Three calls with one prompt that nobody has sent before. */
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
        const { cachedTokens } = await engine.warm(id, Uint32Array.from(ids), salt, { apiKey, signal: this.signal })
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

  /** The probe's prompt once more, under one of the salts: what is cached now. */
  async probeAgain(salt: keyof Facts['salts']): Promise<number | undefined> {
    await this.probe()
    const { id } = await this.model()
    const { engine, apiKey } = this.parts
    const ids = Uint32Array.from(this.#ids ?? [])
    return (await engine.warm(id, ids, this.salts[salt], { apiKey, signal: this.signal })).cachedTokens
  }

  /** The probe's prompt under one of the salts, as LMCache addresses it; undefined where it cannot be named. */
  async sequence(salt: keyof Facts['salts']): Promise<Sequence | undefined> {
    await this.probe()
    const keys = await this.keys()
    return keys === undefined ? undefined : { tokenIds: this.#ids ?? [], salt: this.salts[salt], keys }
  }

  /** Whether the prompt was sent, so that something may have to be cleared away. */
  get hasProbed(): boolean {
    return this.#ids !== undefined
  }

  /** How many of the probe's chunks LMCache itself finds under that salt, in any tier. */
  async prefetch(salt: keyof Facts['salts']): Promise<PrefetchResult | undefined> {
    const [link, sequence] = [await this.link(), await this.sequence(salt)]
    if (link === undefined || sequence === undefined) return undefined
    return await link.client.prefetch(sequence, { deadlineMs: PREFETCH_DEADLINE_MS, signal: this.signal })
  }

  /** LMCache's where one answers: what does not is another check's to tell. */
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

/** What was found to differ between coordinator and servers in how they cut and name chunks. */
export function chunkingMismatches({ warnings }: LmcacheTopology): readonly string[] {
  return warnings.filter((words) => /chunk[ -]size|hash algorithm/.test(words))
}

function randomSalt(): string {
  return `cwm-doctor-${randomBytes(SALT_BYTES).toString('hex')}`
}
