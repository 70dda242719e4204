// The windows in the index, within a bound that tenants share fairly. Adds their text to the thread in pieces, and drops it from there.

import type { Now } from '../base/clock.ts'
import { type CwmError, toCwmError } from '../base/errors.ts'
import { FairMap } from '../base/fair-map.ts'
import type { JsonValue } from '../base/json.ts'
import type { Logger } from '../base/logger.ts'
import type { WindowRecord } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { type IndexedPiece, type IndexedText, MAX_TEXTS, TextIndex } from '../store/sqlite/text-index.ts'
import { cutPassages, piecesOf } from './cut-passages.ts'
import { textsOf } from './message-text.ts'
import { indexedWords } from './words.ts'

/** `evicted`: its memory was needed. `deleted`: its window is gone. `lost`: the thread failed. */
type Absence = 'evicted' | 'deleted' | 'lost'

export interface IndexedWindow {
  readonly tenant: string
  readonly name: string
  /** Of the window. */
  readonly id: string
  /** Its group in the text index. */
  readonly group: number
  /** Undefined while it is in the index. */
  absence: Absence | undefined
}

export interface IndexedWindowsParts {
  /** Bytes of all tenants together. */
  readonly maxBytes: number
  readonly log: Logger
  readonly now: Now
  /** The module to use instead of libsql. */
  readonly libsql?: string | undefined
}

/** What a byte of text takes at most: once as text, and its words with their places. Corrected once the window is indexed. */
const BYTES_PER_BYTE = 4
/** What a window takes besides, its part of the tenant's database included. */
const WINDOW_BYTES = 8 * 1024
/** A tenant that has not used the index for so long loses its windows first. */
const IDLE_MS = 600_000
/** Passages that are added at once, and pieces that are dropped at once: some milliseconds of the thread. */
const TEXTS_ADDED = 64
const PIECES_DROPPED = 64

export class IndexedWindows {
  readonly texts: TextIndex
  readonly #parts: IndexedWindowsParts
  readonly #entries = new Set<IndexedWindow>()
  /** The number of windows of each tenant. */
  readonly #counts = new Map<string, number>()
  #windows: FairMap<IndexedWindow>
  #groups = 0

  constructor(parts: IndexedWindowsParts) {
    this.#parts = parts
    this.#windows = this.#empty()
    const { libsql } = parts
    this.texts = new TextIndex({ onLost: (cause) => this.#lost(cause), ...(libsql === undefined ? {} : { libsql }) })
  }

  get bytes(): number {
    return this.#windows.weight
  }

  get size(): number {
    return this.#windows.size
  }

  /** An entry that is not in the index yet. */
  entryFor({ tenant, name, id }: WindowRecord): IndexedWindow {
    return { tenant, name, id, group: this.#groups++, absence: undefined }
  }

  /** The entry of this very window. Drops that of an earlier window of the same name. */
  find({ tenant, name, id }: WindowRecord): IndexedWindow | undefined {
    const entry = this.#windows.get(keyOf(tenant, name))
    if (entry === undefined || entry.id === id) return entry
    this.remove(tenant, name)
    return undefined
  }

  /** Resolves to false if the window is too large. The entry may leave the index meanwhile: see its `absence`. Throws `BUSY`. */
  async add(entry: IndexedWindow, { dialect }: WindowRecord, messages: readonly JsonValue[]): Promise<boolean> {
    const rules = rulesOf(dialect)
    const texts = messages.map((message) => textsOf(message, rules))
    const bytes = texts.flat().reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    const key = keyOf(entry.tenant, entry.name)
    const held = this.#windows.set(entry.tenant, key, entry, WINDOW_BYTES + BYTES_PER_BYTE * bytes)
    if (held === undefined) return false
    this.#entries.add(entry)
    this.#counts.set(entry.tenant, (this.#counts.get(entry.tenant) ?? 0) + 1)
    try {
      const grown = await this.#addTexts(entry, texts)
      if (entry.absence === undefined) this.#windows.shrink(held, Math.min(held.weight, WINDOW_BYTES + grown))
      return true
    } catch (thrown) {
      if (entry.absence === undefined) this.remove(entry.tenant, entry.name)
      throw thrown
    }
  }

  remove(tenant: string, name: string): void {
    const entry = this.#windows.get(keyOf(tenant, name))
    if (entry === undefined) return
    entry.absence = 'deleted'
    this.#windows.delete(keyOf(tenant, name))
  }

  clear(): void {
    for (const { tenant, name } of [...this.#entries]) this.remove(tenant, name)
  }

  async #addTexts(entry: IndexedWindow, texts: readonly (readonly string[])[]): Promise<number> {
    let grown = 0
    let from = 0
    for (const passages of passagesOf(texts)) {
      if (entry.absence !== undefined || from + passages.length > MAX_TEXTS) return grown
      grown += await this.texts.add(entry.tenant, entry.group, from, passages)
      from += passages.length
    }
    return grown
  }

  #empty(): FairMap<IndexedWindow> {
    return new FairMap<IndexedWindow>({
      maxWeight: this.#parts.maxBytes,
      idleMs: IDLE_MS,
      now: this.#parts.now,
      onLeave: ({ value }) => this.#left(value),
    })
  }

  #left(entry: IndexedWindow): void {
    entry.absence ??= 'evicted'
    this.#entries.delete(entry)
    const count = (this.#counts.get(entry.tenant) ?? 1) - 1
    const isLast = count === 0
    if (isLast) this.#counts.delete(entry.tenant)
    else this.#counts.set(entry.tenant, count)
    const dropped = isLast ? this.texts.end(entry.tenant) : this.#dropTexts(entry)
    dropped.catch((thrown: unknown) => this.#logUnlessExpected(toCwmError(thrown)))
  }

  async #dropTexts({ tenant, group }: IndexedWindow): Promise<void> {
    while (await this.texts.drop(tenant, group, PIECES_DROPPED));
  }

  #logUnlessExpected(error: CwmError): void {
    if (error.code !== 'SHUTTING_DOWN')
      this.#parts.log.error({ err: error }, 'a window was not dropped from the passage index')
  }

  #lost(cause: unknown): void {
    this.#parts.log.error({ err: toCwmError(cause) }, 'the passage index failed, and starts again empty')
    for (const entry of this.#entries) entry.absence = 'lost'
    this.#entries.clear()
    this.#counts.clear()
    this.#windows = this.#empty()
  }
}

/** The passages of all messages, some at a time. */
function* passagesOf(texts: readonly (readonly string[])[]): Generator<readonly IndexedText[]> {
  let passages: IndexedText[] = []
  for (const [place, ofMessage] of texts.entries()) {
    for (const text of ofMessage) {
      for (const passage of cutPassages(text)) {
        passages.push({ place, pieces: piecesOf(passage).map(indexedPiece) })
        if (passages.length < TEXTS_ADDED) continue
        yield passages
        passages = []
      }
    }
  }
  if (passages.length > 0) yield passages
}

function indexedPiece(text: string): IndexedPiece {
  const words = indexedWords(text)
  return words === text ? { text } : { text, words }
}

function keyOf(tenant: string, name: string): string {
  return JSON.stringify([tenant, name])
}
