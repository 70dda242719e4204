// What the checks rely on about one engine, determined once and on first use: models, and the probe that its live proofs share. LMCache is
// opened once for all engines.

import { randomBytes, randomInt } from 'node:crypto'
import { CwmError } from '../base/errors.ts'
import type { EngineModel, WarmCall } from '../engines/engine.ts'
import type { LmcacheConnection } from '../kv/lmcache/connector.ts'
import type { PrefetchResult } from '../kv/lmcache/prefetch.ts'
import type { ChunkKeys, Sequence } from '../kv/lmcache/sequence.ts'
import type { LmcacheTopology } from '../kv/lmcache/topology.ts'
import type { DoctorEngine, DoctorParts, PlainAnswer } from './parts.ts'

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

/** What all engines have in common. */
export interface SharedFacts {
  readonly parts: DoctorParts
  /** Aborts when the current check or the whole run times out. */
  signal: AbortSignal
  link: Promise<LmcacheConnection | undefined> | undefined
}

/** The facts of each engine, in the order of the parts. The same `SharedFacts` are behind all of them. */
export function factsOfAll(shared: SharedFacts): readonly Facts[] {
  const all: Facts[] = []
  for (const engine of shared.parts.engines) all.push(new Facts(shared, engine, all))
  return all
}

export class Facts {
  /** The facts of each engine of the deployment, these included. */
  readonly all: readonly Facts[]
  readonly engine: DoctorEngine
  readonly #shared: SharedFacts
  /** Random salts that were never used before. They are sent to the engine, and never appear in reports. */
  readonly salts = { own: randomSalt(), other: randomSalt(), unused: randomSalt() }
  /** The LMCache server that stores this engine's KV according to the directory, by instance id. */
  seenServer: string | undefined
  /** Further sequences that LMCache may have stored, to be deleted at the end. */
  readonly extraSequences: Sequence[] = []
  /** All calls of the probe belong to one session, so that a router sends them to one engine. */
  readonly #key = randomKey()
  readonly #known = new Map<string, Promise<unknown>>()
  #ids: readonly number[] | undefined

  constructor(shared: SharedFacts, engine: DoctorEngine, all: readonly Facts[]) {
    this.#shared = shared
    this.engine = engine
    this.all = all
  }

  get parts(): DoctorParts {
    return this.#shared.parts
  }

  get signal(): AbortSignal {
    return this.#shared.signal
  }

  /** See `DoctorEngine.ask`. */
  ask(method: 'GET' | 'POST', path: string, body?: object): Promise<PlainAnswer> {
    return this.engine.ask(method, path, this.signal, body)
  }

  /**
   * The model to probe: the wanted one, or the first one listed. The same on all engines that serve it. Throws `UPSTREAM_REJECTED` if the
   * engine does not list it.
   */
  model(): Promise<EngineModel> {
    return this.once('model', async () => {
      const listed = await this.models()
      const { model: wanted } = this.parts
      const first = this.all[0]
      const common = first === undefined || first === this ? undefined : await first.model().catch(() => undefined)
      const found =
        wanted === undefined
          ? (listed.find(({ id }) => id === common?.id) ?? listed[0])
          : listed.find(({ id }) => id === wanted)
      if (found !== undefined) return found
      throw new CwmError(
        'UPSTREAM_REJECTED',
        wanted === undefined ? 'the engine lists no models' : `the engine does not list the model ${wanted}`,
      )
    })
  }

  /** The engine's version, and the answer that contains it. */
  async version(): Promise<{ readonly version: string | undefined; readonly answer: PlainAnswer }> {
    const answer = await this.once('version', () => this.ask('GET', '/version'))
    const version = answer.status === 200 ? /"version"\s*:\s*"([^"]{1,40})"/.exec(answer.text)?.[1] : undefined
    return { version, answer }
  }

  /** A label of the engine's cache settings (`cache_config_info`), if its metrics are readable. */
  async cacheSetting(label: string): Promise<string | undefined> {
    const { status, text } = await this.once('metrics', () => this.ask('GET', '/metrics'))
    const labels = status === 200 ? (/cache_config_info\{([^}]*)\}/.exec(text)?.[1] ?? '') : ''
    return new RegExp(`(?:^|,)${label}="([^"]{1,40})"`).exec(labels)?.[1]
  }

  /** All models of the engine. */
  models(): Promise<readonly EngineModel[]> {
    return this.once('models', () => this.engine.engine.models.list(this.engine.apiKey))
  }

  /** Undefined if LMCache is not configured. */
  link(): Promise<LmcacheConnection | undefined> {
    this.#shared.link ??= this.parts.openLmcache()
    return this.#shared.link
  }

  /** The parts of LMCache's keys for this model; undefined without LMCache, or if the engine is not attached to it. */
  async keys(): Promise<ChunkKeys | undefined> {
    return (await this.link())?.keysOf((await this.model()).engineName)
  }

  /** Makes three calls with the same random prompt. */
  probe(): Promise<Probe> {
    return this.once('probe', async () => {
      const { id, limit } = await this.model()
      const chunkSize = await this.#chunkSize()
      const wanted = CHUNKS * chunkSize + Math.floor(chunkSize / 2) + 1
      const tokens = Math.min(wanted, (limit ?? wanted + 1) - 1)
      const ids = randomIds(tokens)
      this.#ids = ids
      const warm = async (salt: string) => {
        const sent = performance.now()
        const cached = await this.warm({ model: id, tokenIds: Uint32Array.from(ids), salt })
        return { cached, ms: performance.now() - sent }
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

  /**
   * Makes one call, as part of one session if a key is given. Returns how many tokens were cached; undefined if the engine does not report
   * it.
   */
  async warm(call: WarmCall, key = this.#key): Promise<number | undefined> {
    const { engine, apiKey } = this.engine
    const headers = this.parts.affinity?.headers(key)
    const options = { apiKey, signal: this.signal, ...(headers === undefined ? {} : { headers }) }
    return (await engine.warm(call, options)).cachedTokens
  }

  /** Sends the probe's prompt of these facts again under one of the salts, to their own engine unless another one is given. */
  async probeAgain(salt: keyof Facts['salts'], at: Facts = this): Promise<number | undefined> {
    await this.probe()
    const { id } = await at.model()
    const [tokenIds, keys, own] = [this.#ids ?? [], await at.keys().catch(() => undefined), await this.keys()]
    // An engine with another model path stores it under other keys. Equal ones are deleted with those of the probe.
    if (keys !== undefined && keys.engineName !== own?.engineName)
      at.extraSequences.push({ tokenIds, salt: this.salts[salt], keys })
    return await at.warm({ model: id, tokenIds: Uint32Array.from(tokenIds), salt: this.salts[salt] })
  }

  /** Sends the probe's prompt of other facts to this engine, under a salt that is used for nothing else. */
  async probeUnderFreshSalt(writer: Facts): Promise<number | undefined> {
    const [{ id }, keys] = [await this.model(), await this.keys().catch(() => undefined)]
    await writer.probe()
    const tokenIds = writer.#ids ?? []
    const salt = randomSalt()
    if (keys !== undefined) this.extraSequences.push({ tokenIds, salt, keys })
    return await this.warm({ model: id, tokenIds: Uint32Array.from(tokenIds), salt })
  }

  /** A new prompt of the probe's length, under a salt that was never used. What LMCache stores of it is deleted with the probe's own. */
  async newPrompt(): Promise<WarmCall> {
    const [{ tokens }, { id }, keys] = [
      await this.probe(),
      await this.model(),
      await this.keys().catch(() => undefined),
    ]
    const tokenIds = randomIds(tokens)
    const call = { model: id, tokenIds: Uint32Array.from(tokenIds), salt: randomSalt() }
    if (keys !== undefined) this.extraSequences.push({ tokenIds, salt: call.salt, keys })
    return call
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
    const configured = link.topology.servers.find((server) => server.instanceId === this.engine.kvServer)
    const instanceId = this.seenServer ?? configured?.instanceId
    const options = { deadlineMs: PREFETCH_DEADLINE_MS, signal: this.signal }
    return await link.client.prefetch(sequence, instanceId === undefined ? options : { ...options, instanceId })
  }

  /** LMCache's chunk size, or the default if it does not answer, which another check reports. */
  async #chunkSize(): Promise<number> {
    const link = await this.link().catch(() => undefined)
    return link?.topology.chunkSize ?? DEFAULT_CHUNK_SIZE
  }

  /** Finds something out once for all checks of this engine, errors included. */
  once<T>(name: string, find: () => Promise<T>): Promise<T> {
    const known = (this.#known.get(name) ?? find()) as Promise<T>
    this.#known.set(name, known)
    return known
  }
}

/** Differences between coordinator and servers in how they cut and name chunks. */
export function chunkingMismatches({ warnings }: LmcacheTopology): readonly string[] {
  return warnings.filter((words) => /chunk[ -]size|hash algorithm/.test(words))
}

function randomIds(count: number): readonly number[] {
  return Array.from({ length: count }, () => randomInt(LOWEST_ID, HIGHEST_ID))
}

/** A random value for the affinity header, which stands for one session. */
export function randomKey(): string {
  return randomBytes(SALT_BYTES).toString('hex')
}

function randomSalt(): string {
  return `cwm-doctor-${randomBytes(SALT_BYTES).toString('hex')}`
}
