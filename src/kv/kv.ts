// The port to a KV layer: storage that keeps an engine's KV beyond the engine's own cache. lmcache/ and none/ implement it; windows/ knows
// only the port. test/contracts/kv specifies what each backend must do. For the design see docs/decisions/0015.

import type { Durability, KvHandle, TierCounts } from '../base/records.ts'

/** What a backend can do, or is expected to do. */
export interface KvCapabilities {
  /** Protects sequences from its own eviction: `hold`, `isHeld`, `release`. */
  readonly pin: boolean
  /** Stores only salts that were given space: see `ensureSpace`. */
  readonly quota: boolean
}

/** One KV layer for the life of the process. Connects on first use. */
export interface KvBackend {
  /** By configuration, even while the backend does not answer. An open link may support more or less. */
  readonly expects: KvCapabilities
  /**
   * `before-warm`: a hold is placed before the KV is computed, so that it cannot be evicted in between. `after-warm`: only computed KV can be
   * held.
   */
  readonly holds: 'before-warm' | 'after-warm'
  /**
   * Opens a link to what answers now. Undefined: there is no KV layer, and windows are text. Throws `LMCACHE_UNREACHABLE` or
   * `LMCACHE_BAD_ANSWER` if one is configured but does not answer; its KV may still exist.
   */
  open(): Promise<KvLink | undefined>
  /** Call this after a failed call: the next `open` reconnects instead of returning a cached link. */
  invalidate(): void
  /** Probes all known parts of the backend. Never throws. */
  health(): Promise<KvHealth>
}

/**
 * A token sequence from position 0, as an engine computes it under a salt. Never stored and never logged; only its handle is stored.
 * A backend's errors and warnings contain neither ids nor salt.
 */
export interface KvSequence {
  readonly tokenIds: Uint32Array
  readonly salt: string
  /** From `plan`, now or when the sequence was first held. */
  readonly handle: KvHandle
}

/** How much of a sequence a backend stores. It stores whole chunks only. */
export interface KvExtent {
  /** Tokens per chunk. */
  readonly chunkSize: number
  /** 0: the sequence is too short to be stored. */
  readonly chunks: number
}

/** Where a sequence is, as far as the backend knows at this moment. */
export interface Placement {
  /** Null counts are unknown. Zero does not prove absence: a directory forgets on a restart, and lags behind storage. */
  readonly tiers: TierCounts
  /** Tokens of the leading whole chunks that were found: only a prefix can be loaded. */
  readonly restorableTokens: number
  /** Bytes of one whole chunk, all its ranks together. Null if the backend does not say. */
  readonly chunkBytes: number | null
}

/** A placement with its proof. */
export interface VerifiedPlacement extends Placement {
  readonly durability: Exclude<Durability, 'text'>
  /**
   * Whether all parts of the backend share the slower storage that holds the sequence, so that every engine can load it. Null if unknown, or
   * if there is one part only.
   */
  readonly l2Shared: boolean | null
  /** Normal circumstances that explain the result. */
  readonly notes: readonly string[]
  /** What was not verified, for an operator. */
  readonly warnings: readonly string[]
}

/** Limits of a call that waits. On abort it throws the signal's reason. */
export interface KvWait {
  /** Milliseconds; anything not known by then is reported as unknown. */
  readonly deadlineMs: number
  /** The part of the backend that the engine concerned is attached to (`Engine.kvServer`). Undefined if unknown: the backend chooses. */
  readonly server?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a prefetch loaded into the backend's memory. */
export interface PrefetchReceipt {
  /** Chunks that are there with all their ranks. Null: no answer by the deadline. */
  readonly foundChunks: number | null
  readonly totalChunks: number
  /** For an operator; empty if the part of the backend that was asked for did the work. */
  readonly warnings: readonly string[]
}

/** What to delete. */
export interface EraseOrder {
  readonly sequences: readonly KvSequence[]
  /** What others hold: anything that these share with `sequences` and `salts` stays. */
  readonly keep: readonly KvSequence[]
  /** Everything that the backend can find under these salts is deleted too: turns that no known sequence names. */
  readonly salts?: ReadonlySet<string>
  /** For everything except naming the chunks, milliseconds. */
  readonly deadlineMs: number
}

/** What a deletion proved. */
export interface EraseReceipt {
  /** Chunks that existed and are gone. */
  readonly deletedChunks: number
  /** Chunks that still exist, at least. Null: none is known, but not everything could be checked. */
  readonly residualChunks: number | null
  /** Chunks of the sequences that stay because others hold them. */
  readonly keptChunks: number
  readonly warnings: readonly string[]
}

/**
 * How many other holds known to cwm cover all of these ids under the same salt. Backends that count holds per chunk use this to distinguish
 * one window's hold from another's.
 */
export type CountHolds = (heldIds: Uint32Array) => Promise<number>

/**
 * A reachable KV layer. Its methods throw `LMCACHE_UNREACHABLE` or `LMCACHE_BAD_ANSWER` once it is not, and `NOT_SUPPORTED` for anything that
 * `capabilities` excludes and for another backend's handle.
 */
export interface KvLink {
  readonly capabilities: KvCapabilities
  /** The engine's name if exactly one is attached, so that the chunks must be its own. */
  readonly onlyEngine: string | undefined

  /**
   * A handle for a sequence of that many tokens of that engine. It is stored before anything is done with it, and contains neither ids nor
   * salt, because it sees neither. Undefined: the engine is not attached to this backend, so its KV cannot be named; or not to `server`, the
   * part of the backend that the settings name for it (`Engine.kvServer`).
   */
  plan(engineName: string, tokens: number, server?: string): KvHandle | undefined
  /** How much of that many tokens the backend stores under a handle. */
  extentOf(handle: KvHandle, tokens: number): KvExtent

  /** Where the sequence is now: one lookup, without proof. */
  locate(sequence: KvSequence, signal?: AbortSignal): Promise<Placement>
  /** Waits until the whole sequence is found in storage that outlives memory, or for the deadline; then probes what was not found. */
  verify(sequence: KvSequence, wait: KvWait): Promise<VerifiedPlacement>

  /** Holds the sequence against eviction. Does not prove presence. Not idempotent: each hold needs its own release. */
  hold(sequence: KvSequence): Promise<void>
  /**
   * Whether our hold is in place: asked after a crash, or after the backend lost its metadata. Undefined if that is unknown now.
   */
  isHeld(sequence: KvSequence, countOthers: CountHolds): Promise<boolean | undefined>
  /**
   * Releases our hold if it is in place, and returns whether it was. Never releases another's. Throws `LMCACHE_UNREACHABLE` while holds cannot
   * be released; the caller must retry.
   */
  release(sequence: KvSequence, countOthers: CountHolds): Promise<boolean>

  /** Loads the sequence into the backend's memory without the engine, and waits for it. */
  prefetch(sequence: KvSequence, wait: KvWait): Promise<PrefetchReceipt>
  /** Deletes from every tier and proves it. Held chunks are deleted too, so release them first. Idempotent. */
  erase(order: EraseOrder): Promise<EraseReceipt>

  /** Gives a salt that many GiB before its first use. Returns the failures, as text without the salt; empty: done. */
  ensureSpace(salt: string, gigabytes: number): Promise<readonly string[]>
  /** Takes a salt's space back. Returns as `ensureSpace`. */
  dropSpace(salt: string): Promise<readonly string[]>
}

/** A backend's server, with the wire's field names. */
export interface KvServerHealth {
  readonly instance_id?: string
  readonly url: string
  readonly ok: boolean
}

/** `lmcache` in `/cwm/v1/health`, with the wire's field names. */
export interface KvHealth {
  /** Null: no KV layer is configured. */
  readonly ok: boolean | null
  readonly pins: boolean
  readonly warnings: string[]
  readonly coordinator?: { readonly url: string; readonly ok: boolean }
  readonly servers: KvServerHealth[]
}

/** Tier counts when there is nothing to query. */
export function unknownTiers(total: number): TierCounts {
  return { total, l1: null, l2: null, backends: {} }
}
