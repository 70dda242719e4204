// One session in this process: its record, whether the store has it, and the callbacks for its end.

import { sessionKey } from '../base/ids.ts'
import type { KvSpace, SessionRecord } from '../base/records.ts'
import { addSpaces, sameSpace } from '../base/spaces.ts'
import { type ReplyBoundary, windowScopedDigest } from '../identity/chain.ts'
import { valueBytes } from './heap-size.ts'

/** Bytes of a `LiveSession` without its record, and of its last salt. The salt's lineage and model are texts of the record. */
const LIVE_BYTES = 88
const SALT_BYTES = 160

/** Concurrent turns change single fields, so no turn undoes the changes of another. */
export class LiveSession {
  #record: SessionRecord
  /** Identifies the session among those of all tenants. The caches that hold it share this text. */
  readonly key: string
  /** The number of turns in flight in this process. */
  turnsInFlight = 0
  /** Undefined without listeners, because most sessions in memory have no turn in flight. A `Set` would need a new table for each turn. */
  #onEnd: (() => void)[] | undefined
  #ended = false
  /** False until its first turn is stored. An unnamed session that never received an answer leaves no trace. */
  stored: boolean
  /** Created while the store was unavailable. It exists only in this process and is never stored. */
  readonly temporary: boolean
  /** The record may be used until this time without another read of the store. Milliseconds since the epoch. */
  freshUntil = Number.POSITIVE_INFINITY
  /** The digests of its last turn's boundaries. */
  #newest: readonly string[] = []
  /** An earlier boundary from which a later turn continued. */
  #branch: ReplyBoundary | undefined
  /** The salt of its last turn. */
  #salt: { readonly lineage: string; readonly space: KvSpace; readonly salt: string } | undefined

  constructor(record: SessionRecord, kind: { readonly stored: boolean; readonly temporary?: boolean }) {
    this.#record = record
    this.key = sessionKey(record.tenant, record.id)
    this.stored = kind.stored
    this.temporary = kind.temporary ?? false
  }

  get record(): SessionRecord {
    return this.#record
  }

  /** Its size in memory. */
  get bytes(): number {
    const branch = this.#branch === undefined ? 0 : valueBytes(this.#branch)
    const salt = this.#salt === undefined ? 0 : SALT_BYTES
    return LIVE_BYTES + valueBytes(this.#record) + valueBytes(this.#newest) + branch + salt
  }

  get ended(): boolean {
    return this.#ended
  }

  /**
   * Whether a stored record belongs to this session. A newer session under the same name has another `createdAt`, or another lineage with
   * the same head: within one session the lineage changes only together with the head.
   */
  isSameSession(stored: SessionRecord): boolean {
    const { createdAt, head, lineage } = this.#record
    return stored.createdAt === createdAt && (stored.head !== head || stored.lineage === lineage)
  }

  /** Records the context limit of its model, in tokens. */
  setLimit(limit: number): void {
    if (this.#record.limit !== limit) this.change({ limit })
  }

  /** Changes fields of the record. Removes fields whose value is undefined. */
  change(change: SessionChange): void {
    // No spread: V8 in Node 20 gives the first copy of this kind its own hidden class, at least 400 bytes per session.
    const next: Record<string, unknown> = Object.assign({} as Record<string, unknown>, this.#record)
    for (const field in change) {
      const value = change[field as keyof SessionChange]
      if (value !== undefined) next[field] = value
      else if (field in next) delete next[field]
    }
    this.#record = next as unknown as SessionRecord
  }

  /** Replaces the record with one that another process stored, or with one bound to a window. */
  adopt(record: SessionRecord): void {
    this.#record = record
  }

  /** Records the space in which a turn puts its KV. Returns whether that space is new. */
  addSpace(space: KvSpace): boolean {
    const before = this.#record
    this.#record = addSpaces(before, [space])
    return this.#record !== before
  }

  /**
   * Records that a turn continues from that boundary. If it is not among the newest, it is kept, because other turns may continue there
   * too.
   */
  continuedFrom({ digest, rank }: ReplyBoundary): void {
    if (!this.#newest.includes(digest)) this.#branch = { digest, rank }
  }

  /** Sets the newest boundaries. Returns what to keep with them: an older one that a turn continued from, and its mark behind a window. */
  takeBranch(newest: readonly string[]): readonly ReplyBoundary[] {
    const branch = this.#branch
    this.#branch = undefined
    if (newest.length > 0) this.#newest = newest
    if (branch === undefined) return []
    if (this.#record.baseWindow === undefined) return [branch]
    return [branch, { ...branch, digest: windowScopedDigest(branch.digest) }]
  }

  /** The salt for a turn with this lineage and space. Calls `derive` only if the last turn's lineage or space differs. */
  saltOf(lineage: string, space: KvSpace, derive: () => string): string {
    const known = this.#salt
    if (known !== undefined && known.lineage === lineage && sameSpace(known.space, space)) return known.salt
    const salt = derive()
    this.#salt = { lineage, space, salt }
    return salt
  }

  /** Undoes `addSpace`, because the turn is not sent under this session. */
  removeSpace(space: KvSpace): void {
    this.change({ spaces: this.#record.spaces.filter((other) => !sameSpace(other, space)) })
  }

  /** Calls the listener when the session ends. Returns a function that removes the listener. */
  onEnd(listener: () => void): () => void {
    if (this.#onEnd === undefined) this.#onEnd = [listener]
    else this.#onEnd.push(listener)
    return () => {
      const others = this.#onEnd?.filter((other) => other !== listener)
      this.#onEnd = others?.length === 0 ? undefined : others
    }
  }

  /** Ends the session: runs the listeners of its turns in flight. Nothing more of it is stored. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    const listeners = this.#onEnd ?? []
    this.#onEnd = undefined
    for (const listener of listeners) listener()
  }
}

/** The fields of a session that turns may change. */
export type SessionChange = Partial<Omit<SessionRecord, TransientField>> & {
  readonly [field in TransientField]?: SessionRecord[field] | undefined
}
/** Fields that one turn sets and a later turn removes. */
type TransientField = 'auto' | 'rollover' | 'truncation' | 'prefixBreak' | 'thawLoss'

/** The fields of a session that a thaw changes. `shared` comes from the window; if it is absent, nobody shares the new lineage. */
export type Binding = Partial<Omit<SessionRecord, 'shared'>> & { readonly shared?: SessionRecord['shared'] | undefined }

/** The record of a session after a thaw. Findings about earlier turns are dropped, because they concern another history. */
export function boundRecord(before: SessionRecord, { shared, ...change }: Binding): SessionRecord {
  const {
    shared: _shared,
    rollover: _rollover,
    truncation: _truncation,
    prefixBreak: _break,
    thawLoss: _loss,
    ...own
  } = before
  return { ...own, ...change, ...(shared === undefined ? {} : { shared }) }
}
