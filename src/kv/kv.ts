// The port to a KV layer: whatever keeps an engine's KV beyond the engine's own cache. lmcache/ and none/ implement it, and windows/ knows
// nothing else of them. test/contracts/kv has what each backend must do. Why it looks like this: docs/decisions/0015.

import type { Durability, KvHandle, TierCounts } from '../base/records.ts'

/** What a backend does, or is expected to do. */
export interface KvCapabilities {
  /** Holds sequences against its own eviction: `hold`, `isHeld`, `release`. */
  readonly pin: boolean
  /** Keeps only salts that were given space: see `ensureSpace`. */
  readonly quota: boolean
}

/** One KV layer over the life of the process. Connects when it is first needed. */
export interface KvBackend {
  /** By configuration, also while the backend does not answer. A link may be able to do more, or less. */
  readonly expects: KvCapabilities
  /**
   * `before-warm`: a hold is placed before the KV is computed, so that no eviction comes between. `after-warm`: only what has been
   * computed can be held.
   */
  readonly holds: 'before-warm' | 'after-warm'
  /**
   * A link to what answers now. Undefined: there is no KV layer, and windows are text. Throws `LMCACHE_UNREACHABLE` or
   * `LMCACHE_BAD_ANSWER` where one is configured and does not answer: its KV may be there all the same.
   */
  open(): Promise<KvLink | undefined>
  /** Call it after a failed call: the next `open` connects anew instead of returning what it knows. */
  invalidate(): void
  /** Probes everything that is known of the backend. Never throws. */
  health(): Promise<KvHealth>
}

/**
 * A token sequence from position 0, as an engine computes it under a salt. Never stored and never logged: only its handle is stored.
 * Errors that a backend throws, and its warnings, hold neither ids nor salt.
 */
export interface KvSequence {
  readonly tokenIds: Uint32Array
  readonly salt: string
  /** From `plan`, today or at the time when the sequence was first held. */
  readonly handle: KvHandle
}

/** How much of a sequence a backend keeps. It keeps whole chunks only. */
export interface KvExtent {
  /** Tokens per chunk. */
  readonly chunkSize: number
  /** 0: the sequence is too short to be kept. */
  readonly chunks: number
}

/** Where a sequence is, as far as the backend can tell at this moment. */
export interface Placement {
  /** Null counts: unknown. Zero is not absence: a directory forgets on a restart, and lags behind what is stored. */
  readonly tiers: TierCounts
  /** Tokens of the leading whole chunks that were seen: only a prefix can be loaded. */
  readonly restorableTokens: number
}

/** A placement with its proof. */
export interface VerifiedPlacement extends Placement {
  readonly durability: Exclude<Durability, 'text'>
  /** What was not proved, in words for an operator. */
  readonly warnings: readonly string[]
}

/** Limits of a call that waits for something. On abort it throws the signal's reason. */
export interface KvWait {
  /** Milliseconds; what is not known by then counts as unknown. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** What a prefetch brought into the backend's memory. */
export interface PrefetchReceipt {
  /** Chunks that are there with all their ranks. Null: no answer by the deadline. */
  readonly foundChunks: number | null
  readonly totalChunks: number
}

/** What to delete. */
export interface EraseOrder {
  readonly sequences: readonly KvSequence[]
  /** What others hold: whatever they share with `sequences` and `salts` stays. */
  readonly keep: readonly KvSequence[]
  /** Everything that the backend can find under these salts goes as well: turns that no known sequence names. */
  readonly salts?: ReadonlySet<string>
  /** For everything but naming the chunks, milliseconds. */
  readonly deadlineMs: number
}

/** What a delete proved. */
export interface EraseReceipt {
  /** Chunks that were there and are gone. */
  readonly deletedChunks: number
  /** Chunks that are still there: at least so many. Null: none is known, and not everything could be checked. */
  readonly residualChunks: number | null
  /** Chunks of the sequences that stay because others hold them. */
  readonly keptChunks: number
  readonly warnings: readonly string[]
}

/**
 * How many other holds that cwm knows of cover all of these ids, under the same salt. Backends that count holds per chunk ask this, to
 * tell one window's hold from another's.
 */
export type CountHolds = (heldIds: Uint32Array) => Promise<number>

/**
 * A KV layer that answered. Its methods throw `LMCACHE_UNREACHABLE` or `LMCACHE_BAD_ANSWER` when it no longer does, and `NOT_SUPPORTED` for
 * what `capabilities` excludes and for a handle of another backend.
 */
export interface KvLink {
  readonly capabilities: KvCapabilities
  /** The engine's name where exactly one is attached: then there is no doubt whose chunks these are. */
  readonly onlyEngine: string | undefined

  /**
   * A handle for a sequence of so many tokens of that engine. It is stored before anything is done with it, and sees neither ids nor
   * salt, so it cannot hold them. Undefined: the engine is not attached to this backend, so nobody can name its KV.
   */
  plan(engineName: string, tokens: number): KvHandle | undefined
  /** What of so many tokens the backend keeps under a handle. */
  extentOf(handle: KvHandle, tokens: number): KvExtent

  /** Where the sequence is now: a single look, without proof. */
  locate(sequence: KvSequence, signal?: AbortSignal): Promise<Placement>
  /** Waits until the whole sequence is seen where it outlives memory, or for the deadline; then checks what was not seen. */
  verify(sequence: KvSequence, wait: KvWait): Promise<VerifiedPlacement>

  /** Holds the sequence against eviction. Proves nothing about presence. Not idempotent: each hold needs its own release. */
  hold(sequence: KvSequence): Promise<void>
  /**
   * Whether a hold of ours is in place: the question after a crash, or after the backend lost its metadata. Undefined: it cannot be told
   * now.
   */
  isHeld(sequence: KvSequence, countOthers: CountHolds): Promise<boolean | undefined>
  /**
   * Releases our hold if it is in place, and returns whether it was. Never takes another's. Throws `LMCACHE_UNREACHABLE` while holds
   * cannot be released: it has to be tried again.
   */
  release(sequence: KvSequence, countOthers: CountHolds): Promise<boolean>

  /** Loads the sequence into the backend's memory, without the engine, and waits for it. */
  prefetch(sequence: KvSequence, wait: KvWait): Promise<PrefetchReceipt>
  /** Deletes from every tier, and proves it. What is held goes too: release it first. Idempotent. */
  erase(order: EraseOrder): Promise<EraseReceipt>

  /** Gives a salt that many GiB, before its first use. Returns who did not accept it, in words without the salt; empty: done. */
  ensureSpace(salt: string, gigabytes: number): Promise<readonly string[]>
  /** Takes a salt's space back. Returns as `ensureSpace`. */
  dropSpace(salt: string): Promise<readonly string[]>
}

/** A server of a backend, with the field names of the wire. */
export interface KvServerHealth {
  readonly instance_id?: string
  readonly url: string
  readonly ok: boolean
}

/** `lmcache` in `/cwm/v1/health`, with the field names of the wire. */
export interface KvHealth {
  /** Null: no KV layer is configured. */
  readonly ok: boolean | null
  readonly pins: boolean
  readonly warnings: string[]
  readonly coordinator?: { readonly url: string; readonly ok: boolean }
  readonly servers: KvServerHealth[]
}

/** Tier counts where nobody can be asked. */
export function unknownTiers(total: number): TierCounts {
  return { total, l1: null, l2: null, backends: {} }
}
