// Sessions with a single turn, in one compact row each, because most are never continued. Rows are numbered by their last turn, so the
// table only grows at its end. Ids, lineages and digests are looked up in memory, which is read from the table when it is opened. Anything
// else that touches such a session first moves it into the ordinary tables (promote.ts). A session, or a digest, is only in one of the two
// places.

import type { SessionRecord } from '../../base/records.ts'
import type { TurnTrace } from '../store-values.ts'
import { decodeFirstTurn, encodeFirstTurn, type FirstTurn, keyHashesIn, keySeeds } from './first-turn-codec.ts'
import { FirstTurnShapes, type StoredShape } from './first-turn-shapes.ts'
import { KeyTable } from './key-table.ts'
import { keyHash } from './packed-bytes.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { numberAt, type Row, textAt } from './sqlite-rows.ts'

/** Three keys of about 65 bytes each: 32 MiB. Further sessions go to the ordinary tables. */
const MAX_ROWS = 512 * 1024
/** The year 2020. Rows are numbered by milliseconds from there, with 64 numbers per millisecond. */
const EPOCH = Date.UTC(2020, 0)
const PER_MS = 64
const READ_AT_ONCE = 10_000

/** A first turn and its row. */
export interface StoredFirstTurn extends FirstTurn {
  readonly row: number
  readonly shape: StoredShape
}

export class FirstTurns {
  readonly #sql
  readonly #shapes: FirstTurnShapes
  readonly #keys = new KeyTable()
  /** Undoes in memory what the current transaction has changed, one step each. */
  #undo: (() => void)[] = []
  /** The next free number within each recent millisecond. */
  readonly #next = new Map<number, number>()
  #rows = 0
  #isCurrent = false

  constructor(db: SqliteDatabase) {
    this.#shapes = new FirstTurnShapes(db, (undo) => this.#undo.push(undo))
    // As hex, because a libsql buffer costs more: it is outside V8's heap.
    this.#sql = db.prepareAll({
      add: 'INSERT OR IGNORE INTO first_turns (row, shape, data) VALUES (?, ?, ?)',
      last: 'SELECT max(row) FROM first_turns WHERE row BETWEEN ? AND ?',
      get: 'SELECT row, shape, hex(data) FROM first_turns WHERE row = ?',
      drop: 'DELETE FROM first_turns WHERE row = ?',
      all: 'SELECT row, shape, hex(data) FROM first_turns WHERE row > ? ORDER BY row LIMIT ?',
      newest: 'SELECT row, shape, hex(data) FROM first_turns WHERE shape = ? AND row < ? ORDER BY row DESC LIMIT ?',
      oldest: `SELECT row, shape, hex(data) FROM first_turns WHERE shape = ? AND row >= ? AND row < ?
        ORDER BY row LIMIT ?`,
    })
  }

  /** Call when a transaction was committed. */
  committed(): void {
    this.#undo = []
  }

  /** Call when a transaction was rolled back. Memory is mended step by step: reading the file again may take seconds. */
  undone(): void {
    for (const undo of this.#undo.reverse()) undo()
    this.#undo = []
  }

  /** Call when memory may differ from the file. */
  invalidate(): void {
    this.#isCurrent = false
  }

  /** Call before each use of the file. */
  refresh(): void {
    if (this.#isCurrent) return
    this.#shapes.load()
    this.#keys.clear()
    this.#next.clear()
    this.#rows = 0
    this.#undo = []
    for (let rows: readonly Row[] = [[0]]; rows.length > 0; ) {
      rows = this.#sql.all.all(numberAt(rows.at(-1) ?? [], 0), READ_AT_ONCE)
      for (const row of rows)
        this.#note(numberAt(row, 0), this.#shapes.byId(numberAt(row, 1)), keyHashesIn(dataAt(row)))
    }
    this.#isCurrent = true
  }

  /** Stores a new session with new boundaries. Returns false if it does not fit. Only inside a transaction. */
  add(session: SessionRecord, traces: readonly TurnTrace[]): boolean {
    if (this.#rows >= MAX_ROWS) return false
    const encoded = encodeFirstTurn(session, traces)
    if (encoded === undefined) return false
    const shape = this.#shapes.put(encoded.shape)
    if (shape === undefined) return false
    const row = this.#insert(session.lastTurnAt, shape.id, encoded.data)
    if (row === undefined) return false
    const hashes = keyHashesIn(encoded.data)
    this.#note(row, shape, hashes)
    this.#undo.push(() => this.#drop(row, shape, hashes))
    return true
  }

  /** Removes it. Only inside a transaction. */
  remove(stored: StoredFirstTurn): void {
    const { row, shape } = stored
    const hashes = hashesOf(stored)
    this.#sql.drop.run(row)
    this.#drop(row, shape, hashes)
    this.#undo.push(() => this.#note(row, shape, hashes))
  }

  get(tenant: string, id: string): StoredFirstTurn | undefined {
    return this.#find(keyHash(id, keySeeds.id), ({ session }) => session.tenant === tenant && session.id === id)
  }

  byDigest(tenant: string, digest: string): StoredFirstTurn | undefined {
    const holds = ({ session, boundaries }: FirstTurn) =>
      session.tenant === tenant && boundaries.some((boundary) => boundary.digest === digest)
    return this.#find(keyHash(digest, keySeeds.digest), holds)
  }

  /** The number of sessions with that lineage, up to `atMost`. */
  ofLineage(tenant: string, lineage: string, atMost: number): number {
    let count = 0
    for (const row of this.#keys.find(keyHash(lineage, keySeeds.lineage))) {
      const { session } = this.#at(row)
      if (session.tenant === tenant && session.lineage === lineage && ++count >= atMost) break
    }
    return count
  }

  /** Up to `atMost` of a tenant after a position in the order of all sessions: by last turn, newest first, then by id, descending. */
  newest(tenant: string, at: number, id: string, atMost: number): readonly SessionRecord[] {
    const end = Math.min(rowOf(at) + PER_MS, Number.MAX_SAFE_INTEGER)
    // One millisecond has at most this many more, and their order differs from that of their ids.
    const rows = this.#shapes.of(tenant).flatMap((shape) => this.#sql.newest.all(shape.id, end, atMost + 2 * PER_MS))
    return rows
      .map((row) => this.#read(row).session)
      .filter((session) => session.lastTurnAt < at || (session.lastTurnAt === at && session.id < id))
      .sort(newestFirst)
      .slice(0, atMost)
  }

  /** Up to `atMost` of a tenant before a position in that order, nearest first. */
  oldest(tenant: string, at: number, id: string, atMost: number): readonly SessionRecord[] {
    const [begin, end] = [rowOf(at), Number.MAX_SAFE_INTEGER]
    const shapes = this.#shapes.of(tenant)
    const rows = shapes.flatMap((shape) => this.#sql.oldest.all(shape.id, begin, end, atMost + 2 * PER_MS))
    return rows
      .map((row) => this.#read(row).session)
      .filter((session) => session.lastTurnAt > at || (session.lastTurnAt === at && session.id > id))
      .sort((a, b) => newestFirst(b, a))
      .slice(0, atMost)
  }

  /** Up to `atMost` whose last turn was after `after` and before `before`, oldest first. */
  idle(
    { after, before }: { readonly after: number; readonly before: number },
    isWanted: (shape: StoredShape['shape']) => boolean,
    atMost: number,
  ): readonly SessionRecord[] {
    const shapes = [...this.#shapes.all()].filter(({ rows, shape }) => rows > 0 && isWanted(shape))
    const rows = shapes.flatMap(({ id }) => this.#sql.oldest.all(id, rowOf(after + 1), rowOf(before), atMost))
    return rows
      .sort((a, b) => numberAt(a, 0) - numberAt(b, 0))
      .slice(0, atMost)
      .map((row) => this.#read(row).session)
  }

  /** The number of sessions of a tenant. */
  count(tenant: string): number {
    return this.#shapes.of(tenant).reduce((sum, { rows }) => sum + rows, 0)
  }

  /** The number of sessions of all tenants. */
  get total(): number {
    return this.#rows
  }

  /** The tenants that have some. */
  tenants(): Set<string> {
    const shapes = [...this.#shapes.all()].filter(({ rows }) => rows > 0)
    return new Set(shapes.map(({ shape }) => shape.tenant))
  }

  /** Up to `atMost` of a tenant; none if it has none. */
  some(tenant: string, atMost: number): readonly StoredFirstTurn[] {
    const shape = this.#shapes.of(tenant).find(({ rows }) => rows > 0)
    if (shape === undefined) return []
    return this.#sql.oldest.all(shape.id, 0, Number.MAX_SAFE_INTEGER, atMost).map((row) => this.#read(row))
  }

  /** Drops what is stored for a tenant without rows. Only inside a transaction. */
  forget(tenant: string): void {
    this.#shapes.drop(this.#shapes.of(tenant))
  }

  #find(hash: number, isIt: (turn: FirstTurn) => boolean): StoredFirstTurn | undefined {
    for (const row of this.#keys.find(hash)) {
      const stored = this.#at(row)
      if (isIt(stored)) return stored
    }
    return undefined
  }

  #at(row: number): StoredFirstTurn {
    const found = this.#sql.get.get(row)
    if (found === undefined) throw new Error('a first turn is missing from its row')
    return this.#read(found)
  }

  #read(row: Row): StoredFirstTurn {
    const [number, shape] = [numberAt(row, 0), this.#shapes.byId(numberAt(row, 1))]
    return { row: number, shape, ...decodeFirstTurn(shape.shape, Math.floor(number / PER_MS) + EPOCH, dataAt(row)) }
  }

  #note(row: number, shape: StoredShape, hashes: readonly number[]): void {
    for (const hash of hashes) this.#keys.add(hash, row)
    shape.rows++
    this.#rows++
  }

  #drop(row: number, shape: StoredShape, hashes: readonly number[]): void {
    for (const hash of hashes) this.#keys.delete(hash, row)
    shape.rows--
    this.#rows--
  }

  /** Returns its row; undefined if its millisecond is full or out of range. */
  #insert(lastTurnAt: number, shape: number, data: Uint8Array): number | undefined {
    const first = rowOf(lastTurnAt)
    if (!Number.isSafeInteger(first) || first <= 0) return undefined
    for (let next = this.#next.get(lastTurnAt) ?? 0; next < PER_MS; ) {
      const isIn = this.#sql.add.run(first + next, shape, data) === 1
      if (this.#next.size >= 1_000) this.#next.clear()
      if (isIn) {
        this.#next.set(lastTurnAt, next + 1)
        return first + next
      }
      next = numberAt(this.#sql.last.get(first, first + PER_MS - 1) ?? [], 0) - first + 1
    }
    return undefined
  }
}

function dataAt(row: Row): Buffer {
  return Buffer.from(textAt(row, 2), 'hex')
}

function rowOf(lastTurnAt: number): number {
  return (lastTurnAt - EPOCH) * PER_MS
}

function hashesOf({ session, boundaries }: FirstTurn): readonly number[] {
  return [
    keyHash(session.id, keySeeds.id),
    keyHash(session.lineage, keySeeds.lineage),
    ...boundaries.map(({ digest }) => keyHash(digest, keySeeds.digest)),
  ]
}

export function newestFirst(a: SessionRecord, b: SessionRecord): number {
  return b.lastTurnAt - a.lastTurnAt || (a.id < b.id ? 1 : -1)
}
