// The client of LMCache's control plane: one interface for coordinator and servers, whichever of them exist.

import { CwmError } from '../../base/errors.ts'
import { type DeleteOptions, type DeleteResult, deleteChunks } from './delete.ts'
import type { DeleteRequest } from './deletion-plan.ts'
import { type Fleet, type KnownServer, openFleet } from './fleet.ts'
import { type ChunkHolder, findHolders } from './holders.ts'
import { Endpoint, type Fetch, parseBaseUrl } from './http.ts'
import { emptyLookup, type LookupResult, lookupChunks } from './lookup.ts'
import { changePins, listPins, type PinFilter, type PinResult } from './pins.ts'
import { type PrefetchOptions, type PrefetchResult, type PrefetchRoute, prefetchChunks } from './prefetch.ts'
import { changeQuota, type QuotaResult } from './quotas.ts'
import { countChunks, type Sequence } from './sequence.ts'
import type { LmcacheTopology } from './topology.ts'

/** What the client needs of a topology. */
export type LmcacheTarget = Pick<LmcacheTopology, 'coordinatorUrl' | 'pins'> & {
  readonly servers: readonly KnownServer[]
}

export interface LmcacheClientOptions {
  /** From `discoverLmcache`. A fleet that changes needs a new client. */
  readonly target: LmcacheTarget
  /** Limit of each HTTP call, body included, milliseconds. */
  readonly timeoutMs: number
  /** Global `fetch` unless given. */
  readonly fetch?: Fetch
  /** Sizes of keys that earlier clients of the fleet have learned, shared with this one. */
  readonly keyBytes?: Map<string, number>
}

/**
 * Methods throw `LMCACHE_UNREACHABLE` or `LMCACHE_BAD_ANSWER`, and on abort the signal's reason. Errors contain no salt.
 * A sequence shorter than one chunk makes no call and returns zero.
 */
export class LmcacheClient {
  /** Whether `pin`, `unpin` and `listPins` work; otherwise they throw `NOT_SUPPORTED`. */
  readonly pins: boolean
  /** A server stores only salts with a quota: set one before a salt's first request. */
  readonly requiresQuotas: boolean
  readonly #target: LmcacheTarget
  readonly #fleet: Fleet
  readonly #coordinator: Endpoint | undefined
  readonly #open: (url: string) => Endpoint

  constructor({ target, timeoutMs, fetch, keyBytes = new Map() }: LmcacheClientOptions) {
    this.#open = (url) => new Endpoint(parseBaseUrl(url, 'LMCache URL'), timeoutMs, fetch)
    this.#target = target
    this.#coordinator = target.coordinatorUrl === undefined ? undefined : this.#open(target.coordinatorUrl)
    this.pins = target.pins && this.#coordinator !== undefined
    this.requiresQuotas = target.servers.some((server) => server.isolatedLru === true)
    this.#fleet = openFleet(this.#coordinator, target.servers, this.#open, keyBytes)
  }

  /**
   * Where the directory has seen the chunks; without a coordinator all counts are null. An empty answer does not prove absence
   * (docs/engine-behavior.md#directory); a prefetch shows what exists.
   */
  async lookup(sequence: Sequence, signal?: AbortSignal): Promise<LookupResult> {
    if (this.#coordinator === undefined) return emptyLookup(countChunks(sequence), countChunks(sequence) === 0)
    return lookupChunks(this.#coordinator, sequence, signal)
  }

  /** Every copy of every key that the directory has seen, by server; empty without a coordinator. Proves no absence, as `lookup`. */
  async holders(sequence: Sequence, signal?: AbortSignal): Promise<readonly ChunkHolder[]> {
    return this.#coordinator === undefined ? [] : findHolders(this.#coordinator, sequence, signal)
  }

  /** Pins every whole chunk, counted. Does not prove presence (docs/engine-behavior.md#pins). If aborted, the pin may have been placed. */
  async pin(sequence: Sequence, signal?: AbortSignal): Promise<PinResult> {
    return changePins(this.#pinning(), 'POST', sequence, signal)
  }

  /** Releases one pin on every whole chunk. If none is held nothing happens, and the answer is the same. */
  async unpin(sequence: Sequence, signal?: AbortSignal): Promise<PinResult> {
    return changePins(this.#pinning(), 'DELETE', sequence, signal)
  }

  /** Pins under one salt: chunk hash to count, the minimum over the ranks. Read in pages, at most `maxKeys` (1,000,000). */
  async listPins(
    filter: PinFilter,
    options: { readonly signal?: AbortSignal | undefined; readonly maxKeys?: number } = {},
  ): Promise<ReadonlyMap<string, number>> {
    return listPins(this.#pinning(), filter, options)
  }

  /**
   * Loads the chunks from L2 into the L1 of one server and waits for it. `foundKeys` of `totalKeys` are there now, so this also proves presence
   * where the directory is blind. Without `instanceId` it uses the first server with the engine attached. A missing engine is
   * `LMCACHE_BAD_ANSWER` (503, or 502 through the coordinator).
   */
  async prefetch(
    sequence: Sequence,
    options: PrefetchOptions & { readonly instanceId?: string },
  ): Promise<PrefetchResult> {
    if (countChunks(sequence) === 0) return { status: 'noop', foundKeys: 0, totalKeys: 0 }
    return prefetchChunks(this.#route(sequence, options.instanceId), sequence, options)
  }

  /**
   * Deletes chunks from every server and every tier, and returns what is left. Pinned chunks are deleted too: unpin first. Throws only if the
   * coordinator cannot name the chunks; later failures become warnings, and the residue is then a number or null. If aborted, some chunks may
   * be gone. A repeated call finds nothing and is as certain as the first.
   */
  async deleteChunks(request: DeleteRequest, options: DeleteOptions): Promise<DeleteResult> {
    return deleteChunks(this.#fleet, request, options)
  }

  /** Lets a salt hold `limitGb` GiB per adapter. Failures are returned, not thrown; `NOT_SUPPORTED` for the salt `_default`. */
  async setQuota(salt: string, limitGb: number, signal?: AbortSignal): Promise<QuotaResult> {
    return changeQuota(this.#fleet, salt, limitGb, signal)
  }

  /** Removes a salt's quota. Under `IsolatedLRU`, everything it holds is wiped within a second. */
  async removeQuota(salt: string, signal?: AbortSignal): Promise<QuotaResult> {
    return changeQuota(this.#fleet, salt, undefined, signal)
  }

  #pinning(): Endpoint {
    if (this.#coordinator !== undefined && this.pins) return this.#coordinator
    throw new CwmError('NOT_SUPPORTED', 'pins need an LMCache coordinator; see the warnings of cwm doctor')
  }

  #route(sequence: Sequence, instanceId: string | undefined): PrefetchRoute {
    const server = this.#chooseServer(sequence, instanceId)
    const id = instanceId ?? server?.instanceId
    // The coordinator does not know a configured server that never registered. It does know one that registered since.
    if (this.#coordinator !== undefined && id !== undefined && server?.registered !== false)
      return { endpoint: this.#coordinator, instanceId: id }
    if (server !== undefined) return { endpoint: this.#open(server.url) }
    const which = instanceId === undefined ? '' : ` named ${JSON.stringify(instanceId)}`
    throw new CwmError(
      'LMCACHE_UNREACHABLE',
      `no LMCache server${which} is known; check that one is registered with the coordinator`,
    )
  }

  #chooseServer({ keys }: Sequence, instanceId: string | undefined): LmcacheTarget['servers'][number] | undefined {
    const { servers } = this.#target
    if (instanceId !== undefined) return servers.find((server) => server.instanceId === instanceId)
    const hasEngine = (server: LmcacheTarget['servers'][number]) =>
      server.engines.some((e) => e.engineName === keys.engineName && e.worldSize === keys.worldSize)
    const reachable = servers.filter((server) => server.reachable)
    return reachable.find(hasEngine) ?? reachable[0] ?? servers[0]
  }
}
