// What the next turn of a session needs of the stored one, kept after this process wrote it, so that a save reads nothing back.

import { LRUCache } from 'lru-cache'
import { sessionKey } from '../../base/ids.ts'
import type { Boundary, SessionRecord } from '../../base/records.ts'

const MAX_BYTES = 8 * 1024 * 1024
const ENTRY_BYTES = 700
/** A space with its salt. */
const SPACE_BYTES = 300

/** What a turn's record is compared with, and what it takes over from the stored one. */
export type StoredPart = Pick<SessionRecord, 'head' | 'lineage' | 'spaces' | 'spacesLost' | 'auto' | 'rollover'>

export interface WrittenSession {
  readonly stored: StoredPart
  readonly boundaries: BoundaryBounds
}

export class WrittenSessions {
  readonly #entries = new LRUCache<string, WrittenSession>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ stored }, key) => ENTRY_BYTES + key.length + stored.spaces.length * SPACE_BYTES,
  })

  get({ tenant, id }: SessionRecord): WrittenSession | undefined {
    return this.#entries.get(sessionKey(tenant, id))
  }

  /** Records that the session is now stored in this form. */
  set(session: SessionRecord, boundaries: BoundaryBounds): void {
    const { tenant, id, head, lineage, spaces, spacesLost, auto, rollover } = session
    const stored = {
      head,
      lineage,
      spaces,
      ...(spacesLost === undefined ? {} : { spacesLost }),
      ...(auto === undefined ? {} : { auto }),
      ...(rollover === undefined ? {} : { rollover }),
    }
    this.#entries.set(sessionKey(tenant, id), { stored, boundaries })
  }

  delete(tenant: string, id: string): void {
    this.#entries.delete(sessionKey(tenant, id))
  }

  clear(): void {
    this.#entries.clear()
  }
}

/** What is certain of a session's boundaries: the maximum number per rank, and the earliest expiry of those above rank 0. */
export class BoundaryBounds {
  readonly #counts = new Map<number, number>()
  /** For ranks missing in the map. */
  readonly #others: number
  #lastUntil: number

  private constructor(others: number, lastUntil: number) {
    this.#others = others
    this.#lastUntil = lastUntil
  }

  static unknown(): BoundaryBounds {
    return new BoundaryBounds(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)
  }

  static ofNew(): BoundaryBounds {
    return new BoundaryBounds(0, Number.POSITIVE_INFINITY)
  }

  /** A session with exactly these boundaries. */
  static of(boundaries: readonly Boundary[]): BoundaryBounds {
    const bounds = BoundaryBounds.ofNew()
    for (const { rank = 0, expiresAt } of boundaries) bounds.put(rank, expiresAt, true)
    return bounds
  }

  /** `isAnother`: the session did not have this boundary with this rank. */
  put(rank: number, expiresAt: number, isAnother: boolean): void {
    if (isAnother) this.#counts.set(rank, this.atMost(rank) + 1)
    if (rank > 0) this.#lastUntil = Math.min(this.#lastUntil, expiresAt)
  }

  atMost(rank: number): number {
    return this.#counts.get(rank) ?? this.#others
  }

  trimmed(rank: number, keep: number): void {
    this.#counts.set(rank, Math.min(keep, this.atMost(rank)))
  }

  /** Whether all boundaries above rank 0 are known to last until then. */
  lastUntil(time: number): boolean {
    return this.#lastUntil >= time
  }

  /** Extends all unexpired boundaries above rank 0 until then. */
  putOff(time: number): void {
    this.#lastUntil = Math.max(this.#lastUntil, time)
  }
}
