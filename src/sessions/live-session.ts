// One session as this process holds it: its record, whether the store has it, and who must hear of its end.

import { sessionKey } from '../base/ids.ts'
import type { KvSpace, SessionRecord } from '../base/records.ts'
import { addSpaces, sameSpace } from '../base/spaces.ts'
import type { ReplyBoundary } from '../identity/chain.ts'
import { valueBytes } from './heap-size.ts'

/** The object below, without its record, and what it remembers of a salt: lineage and model are the record's own texts. */
const LIVE_BYTES = 88
const SALT_BYTES = 160

/** Turns that run at once change it one field at a time, so none undoes another. */
export class LiveSession {
  #record: SessionRecord
  /** What names it among those of all tenants; the caches that hold it share the text. */
  readonly key: string
  /** Turns in flight here. */
  turnsInFlight = 0
  /** There while somebody listens: most sessions in memory have no turn in flight. No `Set`, whose table would be made for each turn. */
  #onEnd: (() => void)[] | undefined
  #ended = false
  /** False until its first turn is stored: an unnamed session that never got an answer leaves no trace. */
  stored: boolean
  /** Made while the store was away: lives in this process alone and is never stored. */
  readonly temporary: boolean
  /** Until when the record may be used without another read of the store, milliseconds since the epoch. */
  freshUntil = Number.POSITIVE_INFINITY
  /** Boundaries of its last turn, and one from before that a turn went on from since. */
  #newest: readonly string[] = []
  #branch: ReplyBoundary | undefined
  /** Of its last turn. */
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

  /** What it weighs in memory. */
  get bytes(): number {
    const branch = this.#branch === undefined ? 0 : valueBytes(this.#branch)
    const salt = this.#salt === undefined ? 0 : SALT_BYTES
    return LIVE_BYTES + valueBytes(this.#record) + valueBytes(this.#newest) + branch + salt
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Whether a stored record is this session's, and not one's that was begun anew under its name: a lineage changes with the head alone. */
  isSameSession(stored: SessionRecord): boolean {
    const { createdAt, head, lineage } = this.#record
    return stored.createdAt === createdAt && (stored.head !== head || stored.lineage === lineage)
  }

  /** What the engine says of its model. */
  setLimit(limit: number): void {
    if (this.#record.limit !== limit) this.change({ limit })
  }

  /** A field given as undefined is taken out. */
  change(change: SessionChange): void {
    // Not by spread: V8 (of Node 20) gives the first such copy a hidden class of its own, 400 bytes and more for each session.
    const next: Record<string, unknown> = Object.assign({} as Record<string, unknown>, this.#record)
    for (const field in change) {
      const value = change[field as keyof SessionChange]
      if (value !== undefined) next[field] = value
      else if (field in next) delete next[field]
    }
    this.#record = next as unknown as SessionRecord
  }

  /** Takes over what another process has stored. */
  adopt(record: SessionRecord): void {
    this.#record = record
  }

  /** Notes where a turn puts its KV; answers whether that is news. */
  addSpace(space: KvSpace): boolean {
    const before = this.#record
    this.#record = addSpaces(before, [space])
    return this.#record !== before
  }

  /** A turn goes on from that boundary. Where it is not the newest, others may go on from there too, as often as they like. */
  continuedFrom({ digest, rank }: ReplyBoundary): void {
    if (!this.#newest.includes(digest)) this.#branch = { digest, rank }
  }

  /** The boundary that must be kept beside the newest ones, which these are now; undefined when they are all there is to keep. */
  takeBranch(newest: readonly string[]): ReplyBoundary | undefined {
    const branch = this.#branch
    this.#branch = undefined
    if (newest.length > 0) this.#newest = newest
    return branch
  }

  /** The salt of a turn under that lineage and in that space, derived where the last turn had another. */
  saltOf(lineage: string, space: KvSpace, derive: () => string): string {
    const known = this.#salt
    if (known !== undefined && known.lineage === lineage && sameSpace(known.space, space)) return known.salt
    const salt = derive()
    this.#salt = { lineage, space, salt }
    return salt
  }

  /** Takes that back: the turn goes elsewhere. */
  removeSpace(space: KvSpace): void {
    this.change({ spaces: this.#record.spaces.filter((other) => !sameSpace(other, space)) })
  }

  /** Calls back when the session is ended while its turn is in flight. Answers how to stop. */
  onEnd(listener: () => void): () => void {
    if (this.#onEnd === undefined) this.#onEnd = [listener]
    else this.#onEnd.push(listener)
    return () => {
      const others = this.#onEnd?.filter((other) => other !== listener)
      this.#onEnd = others?.length === 0 ? undefined : others
    }
  }

  /** The session is no more: its turns in flight are told, and nothing of it is stored from now on. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    const listeners = this.#onEnd ?? []
    this.#onEnd = undefined
    for (const listener of listeners) listener()
  }
}

/** What turns change of a session. */
export type SessionChange = Partial<Omit<SessionRecord, TransientField>> & {
  readonly [field in TransientField]?: SessionRecord[field] | undefined
}
/** Set by one turn, and removed by a later one. */
type TransientField = 'auto' | 'rollover' | 'truncation' | 'prefixBreak'

/** What a thaw changes of a session. Who shares its new lineage is the window's to say: absent, nobody. */
export type Binding = Partial<Omit<SessionRecord, 'shared'>> & { readonly shared?: SessionRecord['shared'] | undefined }

/** The record of a session once it is bound: what was found of the turns before is of another history. */
export function boundRecord(before: SessionRecord, { shared, ...change }: Binding): SessionRecord {
  const { shared: _shared, rollover: _rollover, truncation: _truncation, prefixBreak: _break, ...own } = before
  return { ...own, ...change, ...(shared === undefined ? {} : { shared }) }
}
