// Which windows a question is about: an index over the text of windows, in memory only. A window is indexed when it is first needed. Its text
// leaves with the window.

import { abortable } from '../base/abortable.ts'
import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import type { WindowRecord } from '../base/records.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { EventLog } from '../journal/events.ts'
import type { FoundText } from '../store/sqlite/text-index.ts'
import type { Store } from '../store/store.ts'
import { DeletedWindows } from './deleted-windows.ts'
import { type IndexedWindow, IndexedWindows, type IndexedWindowsParts } from './indexed-windows.ts'
import type { Passage, RankedWindow } from './passage.ts'
import { searchFor } from './words.ts'

export type { Passage, RankedWindow } from './passage.ts'

export interface PassageIndexParts extends IndexedWindowsParts {
  readonly store: Pick<Store, 'getWindow' | 'getWindowContent' | 'maxStalenessMs'>
  readonly events: Pick<EventLog, 'subscribe'>
  readonly metrics: Pick<Metrics, 'watch' | 'passageWindows'>
}

type Indexed = IndexedWindow | 'deleted' | 'too large'

/** A thread that failed is started once more for the same question. */
const ATTEMPTS = 2

export class PassageIndex {
  readonly #parts: PassageIndexParts
  readonly #windows: IndexedWindows
  readonly #deletes: DeletedWindows
  readonly #flight = new SingleFlight<Indexed>()
  /** Windows that are being read, by tenant and name, so that a delete meanwhile is noticed. */
  readonly #building = new Set<IndexedWindow>()

  /** With `maxBytes: 0`, the index is switched off. */
  constructor(parts: PassageIndexParts) {
    this.#parts = parts
    this.#windows = new IndexedWindows(parts)
    const { events, log, metrics } = parts
    this.#deletes = new DeletedWindows({
      events,
      log,
      onDeleted: (tenant, name) => this.forget(tenant, name),
      onMissed: () => this.#forgetAll(),
    })
    metrics.watch('cwm_passage_index_bytes', 'Memory of the passage index, all tenants', () => this.#windows.bytes)
    metrics.watch('cwm_passage_index_windows', 'Windows in the passage index, all tenants', () => this.#windows.size)
  }

  /**
   * The `count` frozen windows whose passages fit `query` best, best first; of equal ones, the one that comes first in `windows`. Leaves out
   * windows without any word of the query, and those deleted meanwhile. Throws `NOT_SUPPORTED` if the index is switched off,
   * `PASSAGES_TOO_LARGE` if the windows do not fit into it, `BUSY` if it failed twice, what the store throws, and on abort the signal's
   * reason, or `CLIENT_GONE`.
   */
  async rank(
    tenant: string,
    windows: readonly WindowRecord[],
    query: string,
    count: number,
    signal: AbortSignal,
  ): Promise<RankedWindow[]> {
    if (this.#parts.maxBytes === 0) throw switchedOff()
    const match = searchFor(query)
    const candidates = windows.filter((window) => window.tenant === tenant && window.state === 'frozen')
    if (match === undefined || candidates.length === 0) return []
    return await this.#attempt(signal, async () => {
      const entries = await this.#indexAll(candidates, signal)
      const groups = entries.map(({ group }) => group)
      const found = await abortable(this.#windows.texts.rank(tenant, groups, match, count), signal)
      if (entries.some(isLost)) throw failed()
      const byGroup = new Map(entries.map((entry) => [entry.group, entry]))
      return found.flatMap((text) => {
        const entry = byGroup.get(text.group)
        if (entry === undefined || isDeleted(entry)) return []
        return [{ window: entry.name, passage: passageFrom(text), score: text.score }]
      })
    })
  }

  /**
   * The passage of one window that fits a text best. Null if no word of it occurs there, if the window is deleted or too large for the index,
   * or if the index is switched off. Throws as `rank` does otherwise.
   */
  async passageOf(tenant: string, window: WindowRecord, query: string, signal: AbortSignal): Promise<Passage | null> {
    const match = searchFor(query)
    if (this.#parts.maxBytes === 0 || match === undefined) return null
    if (window.tenant !== tenant || window.state !== 'frozen') return null
    return await this.#attempt(signal, async () => {
      const entry = await this.#index(window, signal)
      if (typeof entry === 'string') return null
      const found = await abortable(this.#windows.texts.best(tenant, entry.group, match), signal)
      if (isLost(entry)) throw failed()
      return found === undefined || isDeleted(entry) ? null : passageFrom(found)
    })
  }

  /** Drops the text of a deleted window. */
  forget(tenant: string, name: string): void {
    for (const entry of this.#building) if (entry.tenant === tenant && entry.name === name) entry.absence = 'deleted'
    this.#windows.remove(tenant, name)
  }

  async close(): Promise<void> {
    await Promise.all([this.#deletes.close(), this.#windows.texts.close()])
  }

  async #attempt<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await work()
      } catch (thrown) {
        if (signal.aborted)
          throw signal.reason instanceof CwmError ? signal.reason : clientGone('the passages were found')
        if (toCwmError(thrown).code !== 'BUSY' || attempts === ATTEMPTS) throw thrown
      }
    }
  }

  async #indexAll(windows: readonly WindowRecord[], signal: AbortSignal): Promise<readonly IndexedWindow[]> {
    const entries: IndexedWindow[] = []
    for (const window of windows) {
      const entry = this.#ready(window) ?? (await this.#index(window, signal))
      if (entry === 'deleted') continue
      // The first one is the least recently used, so it is the first to leave.
      if (entry === 'too large' || entries[0]?.absence === 'evicted') throw this.#tooLarge(windows.length)
      entries.push(entry)
    }
    if (entries.some(isLost)) throw failed()
    if (entries.some(({ absence }) => absence === 'evicted')) throw this.#tooLarge(windows.length)
    return entries
  }

  /** Undefined if some of its passages are missing. */
  #ready(window: WindowRecord): IndexedWindow | undefined {
    return this.#flight.current(window.id) === undefined ? this.#windows.find(window) : undefined
  }

  /** Concurrent calls for the same window share one run, which continues if its caller leaves. */
  async #index(window: WindowRecord, signal: AbortSignal): Promise<Indexed> {
    signal.throwIfAborted()
    const ready = this.#ready(window)
    if (ready !== undefined) return ready
    return await abortable(
      this.#flight.run(window.id, () => this.#build(window)),
      signal,
    )
  }

  async #build(window: WindowRecord): Promise<Indexed> {
    const { store, metrics } = this.#parts
    const entry = this.#windows.entryFor(window)
    this.#building.add(entry)
    try {
      if (Number.isFinite(store.maxStalenessMs)) await this.#deletes.follow()
      const content = await store.getWindowContent(window.tenant, window.name, window.id)
      // After the content: a deleted window's text may still be held for the sessions based on it.
      const live = await store.getWindow(window.tenant, window.name)
      if (content === undefined || live?.id !== window.id || isDeleted(entry)) return 'deleted'
      if (!(await this.#windows.add(entry, window, content.prompt.messages))) return 'too large'
      metrics.passageWindows.inc()
      return isDeleted(entry) ? 'deleted' : entry
    } finally {
      this.#building.delete(entry)
    }
  }

  #forgetAll(): void {
    for (const entry of this.#building) entry.absence = 'deleted'
    this.#windows.clear()
  }

  #tooLarge(count: number): CwmError {
    return new CwmError(
      'PASSAGES_TOO_LARGE',
      `the text of these ${count} windows does not fit into the passage index; select fewer by names, tag, or search, or raise passage_index_bytes, now ${this.#parts.maxBytes}`,
      { param: 'windows' },
    )
  }
}

function isDeleted({ absence }: IndexedWindow): boolean {
  return absence === 'deleted'
}

function isLost({ absence }: IndexedWindow): boolean {
  return absence === 'lost'
}

function passageFrom({ text, place }: FoundText): Passage {
  return { text, message: place }
}

function failed(): CwmError {
  return new CwmError('BUSY', 'the passage index failed while it was searched; retry the request')
}

function switchedOff(): CwmError {
  return new CwmError(
    'NOT_SUPPORTED',
    '`select` needs the passage index, which is switched off (passage_index_bytes is 0); ask without `select`, or switch it on',
    { param: 'select' },
  )
}
