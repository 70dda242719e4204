// A discovered LMCache behind the port: handles are the names in its chunk keys, and holds are pins at the coordinator.

import type { Now } from '../../base/clock.ts'
import { CwmError } from '../../base/errors.ts'
import type { KvHandle } from '../../base/records.ts'
import type {
  CountHolds,
  EraseOrder,
  EraseReceipt,
  KvCapabilities,
  KvExtent,
  KvLink,
  KvSequence,
  KvWait,
  Placement,
  PrefetchReceipt,
  VerifiedPlacement,
} from '../kv.ts'
import type { LmcacheConnection } from './connector.ts'
import { isPinned } from './is-pinned.ts'
import { type ChunkKeys, countChunks, type Sequence } from './sequence.ts'
import { findById, isAttached } from './topology.ts'
import { findServer, locate, verifyPlacement } from './verify.ts'

export class LmcacheKvLink implements KvLink {
  readonly capabilities: KvCapabilities
  readonly #link: LmcacheConnection
  readonly #now: Now

  constructor(link: LmcacheConnection, now: Now) {
    const { client } = link
    this.#link = link
    this.#now = now
    this.capabilities = { pin: client.pins, quota: client.requiresQuotas }
  }

  get onlyEngine(): string | undefined {
    const { engines } = this.#link.topology
    return engines.length === 1 ? engines[0]?.engineName : undefined
  }

  plan(engineName: string, _tokens: number, server?: string): KvHandle | undefined {
    if (server !== undefined) {
      const own = findById(this.#link.topology, server)
      if (own === undefined || !isAttached(own, engineName)) return undefined
    }
    const keys = this.#link.keysOf(engineName)
    return keys === undefined ? undefined : { ...keys }
  }

  extentOf(handle: KvHandle, tokens: number): KvExtent {
    const { chunkSize } = keysOf(handle)
    return { chunkSize, chunks: Math.floor(tokens / chunkSize) }
  }

  locate(sequence: KvSequence, signal?: AbortSignal): Promise<Placement> {
    return locate(this.#link, toSequence(sequence), signal)
  }

  verify(sequence: KvSequence, wait: KvWait): Promise<VerifiedPlacement> {
    return verifyPlacement(this.#link, toSequence(sequence), wait, this.#now)
  }

  async hold(sequence: KvSequence): Promise<void> {
    await this.#link.client.pin(toSequence(sequence))
  }

  async isHeld(sequence: KvSequence, countOthers: CountHolds): Promise<boolean | undefined> {
    return this.capabilities.pin ? await isPinned(this.#link.client, toSequence(sequence), countOthers) : undefined
  }

  async release(sequence: KvSequence, countOthers: CountHolds): Promise<boolean> {
    if (!this.capabilities.pin) {
      throw new CwmError(
        'LMCACHE_UNREACHABLE',
        'no coordinator can release the pin now; it is released once one answers',
      )
    }
    // Checked even if the store says that it is pinned: a crash may have come between the call and its record, and a second unpin
    // would release the pin of another window with the same chunks.
    if (!(await isPinned(this.#link.client, toSequence(sequence), countOthers))) return false
    await this.#link.client.unpin(toSequence(sequence))
    return true
  }

  async prefetch(sequence: KvSequence, wait: KvWait): Promise<PrefetchReceipt> {
    const target = toSequence(sequence)
    const { server, ...limits } = wait
    const { instanceId, warnings } = findServer(this.#link.topology, server)
    const options = instanceId === undefined ? limits : { ...limits, instanceId }
    const { foundKeys, totalKeys } = await this.#link.client.prefetch(target, options)
    return {
      // Counts a chunk only if all its ranks were found: with several ranks, two half chunks must not count as one.
      foundChunks: foundKeys === null ? null : wholeChunks(foundKeys, totalKeys ?? 0, target.keys.worldSize),
      totalChunks: countChunks(target),
      warnings,
    }
  }

  erase({ sequences, keep, salts, deadlineMs }: EraseOrder): Promise<EraseReceipt> {
    const request = {
      sequences: sequences.map((sequence) => ({ sequence: toSequence(sequence), from: 0 })),
      keep: keep.map(toSequence),
      ...(salts === undefined ? {} : { salts }),
    }
    return this.#link.client.deleteChunks(request, { deadlineMs })
  }

  async ensureSpace(salt: string, gigabytes: number): Promise<readonly string[]> {
    return (await this.#link.client.setQuota(salt, gigabytes)).failures
  }

  async dropSpace(salt: string): Promise<readonly string[]> {
    return (await this.#link.client.removeQuota(salt)).failures
  }
}

function toSequence({ tokenIds, salt, handle }: KvSequence): Sequence & { readonly tokenIds: Uint32Array } {
  return { tokenIds, salt, keys: keysOf(handle) }
}

/** Throws `NOT_SUPPORTED` for a handle that another backend created. */
function keysOf({ engineName, worldSize, chunkSize }: KvHandle): ChunkKeys {
  if (typeof worldSize === 'number' && typeof chunkSize === 'number') return { engineName, worldSize, chunkSize }
  throw new CwmError(
    'NOT_SUPPORTED',
    `the KV of ${engineName} was held by another KV backend, and LMCache cannot name it`,
  )
}

function wholeChunks(foundKeys: number, totalKeys: number, worldSize: number): number {
  return Math.max(0, totalKeys / worldSize - (totalKeys - foundKeys))
}
