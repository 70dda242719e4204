// What proxies tell each other through Redis: what was changed, and that a retired lineage is no longer believed in. Messages may be
// lost: believeMs bounds what a proxy believes without them, and whoever needs to be sure waits for answers or for that long.

import { setImmediate as afterAnswers } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { randomId } from '../../base/ids.ts'
import { isObject, parseJson } from '../../base/json.ts'
import type { StoreChange } from '../store.ts'
import { describeFailure } from './redis-errors.ts'
import { connect, deadline, openTimeoutMs } from './redis-link.ts'
import type { RedisRows } from './redis-rows.ts'
import type { RedisAddress } from './redis-url.ts'

type Listener = (change: StoreChange) => void
type LineageChange = Extract<StoreChange, { kind: 'lineage' }>

/** `ack`: the request whose change `from` believes in no more. */
interface Message {
  readonly from: string
  readonly change?: StoreChange
  readonly request?: string
  readonly ack?: string
}

/** Somebody who waits for answers, and whose are missing. */
interface Waiting {
  readonly missing: Set<string>
  readonly done: () => void
}

const beatMs = 3000
/** A proxy that has not been heard of for so long has nothing left that it believes, or cannot reach Redis. */
const silentAfterMs = 15_000
/** Between the write and the moment from which others count: one answer on its way, and clocks that tick unevenly. */
const marginMs = 250

export class RedisChanges {
  readonly #rows: RedisRows
  readonly #subscriber: Redis | Cluster
  readonly #believeMs: number
  readonly #self = randomId()
  readonly #listeners = new Set<Listener>()
  /** Bounded by the retirements that run at once. */
  readonly #waiting = new Map<string, Waiting>()
  #beat: NodeJS.Timeout | undefined
  /** From when Redis knows that this proxy runs, on `performance.now()`. */
  #countedAt = 0

  private constructor(rows: RedisRows, address: RedisAddress, believeMs: number) {
    this.#rows = rows
    this.#believeMs = believeMs
    this.#subscriber = connect(address)
    this.#subscriber.on('error', () => {}) // it connects again by itself, and subscribes again
    this.#subscriber.on('message', (_channel: string, text: string) => this.#hear(text))
  }

  /** Begins to listen and to be counted. Rejects with `STORE_UNAVAILABLE`. */
  static async open(rows: RedisRows, address: RedisAddress, believeMs: number): Promise<RedisChanges> {
    const changes = new RedisChanges(rows, address, believeMs)
    try {
      // A server that takes the connection and says nothing must not hold the start for ever.
      await deadline(changes.#subscriber.connect(), openTimeoutMs)
      await deadline(changes.#subscriber.subscribe(rows.shared.changes), openTimeoutMs)
      await changes.#sayAlive()
    } catch (thrown) {
      changes.#subscriber.disconnect()
      throw describeFailure(thrown)
    }
    changes.#beat = setInterval(() => void changes.#sayAlive().catch(() => {}), beatMs)
    changes.#beat.unref()
    return changes
  }

  /** Whoever retires a lineage waits only for proxies that were heard of lately: cut off from Redis, this one soon may believe nothing. */
  get believeMs(): number {
    const countedUntil = this.#countedAt + silentAfterMs - marginMs
    return Math.max(0, Math.min(this.#believeMs, countedUntil - performance.now()))
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Tells the others, if they can be told. */
  tell(change: StoreChange): void {
    this.#publish({ from: this.#self, change }).catch(() => {})
  }

  /** Tells the others, and resolves when each has answered or can believe the old no more. Never rejects. */
  async tellAndWait(change: LineageChange): Promise<void> {
    const request = randomId()
    try {
      const others = await this.#others()
      if (others.size === 0) return
      await this.#answers(request, new Set(others.keys()), Math.max(...others.values()), () =>
        this.#publish({ from: this.#self, change, request }),
      )
    } catch {
      await this.#answers(request, new Set(['anybody']), this.#believeMs, async () => {})
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#beat)
    this.#subscriber.disconnect()
    await this.#rows.link.call('ZREM', this.#rows.shared.processes, this.#member()).catch(() => {})
  }

  /** Resolves when `missing` have answered what `ask` asks, or `believeMs` and a little more are over. */
  async #answers(request: string, missing: Set<string>, believeMs: number, ask: () => Promise<void>): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(request)
        resolve()
      }
      const timer = setTimeout(done, believeMs + marginMs)
      this.#waiting.set(request, { missing, done })
      ask().catch(() => {}) // then nobody answers, and the time runs
    })
  }

  #hear(text: string): void {
    const message = parseJson(text)
    if (!isObject(message) || message.from === this.#self) return
    const { from, change, request, ack } = message as unknown as Message
    if (ack !== undefined) this.#noteAnswer(ack, from)
    if (change === undefined) return
    this.#notify(change)
    if (change.kind === 'lineage' && request !== undefined) this.#answer(change, request).catch(() => {})
  }

  /**
   * A read that Redis answered before the change may still be on its way to us. Answers come in order, so once a later one is here, it
   * is too: then the listeners are told once more, and only then the requester.
   */
  async #answer(change: LineageChange, request: string): Promise<void> {
    await this.#rows.get(this.#rows.keysOf(change.tenant).retired(change.lineage))
    await afterAnswers()
    this.#notify(change)
    await this.#publish({ from: this.#self, ack: request })
  }

  #notify(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  #noteAnswer(request: string, from: string): void {
    const waiting = this.#waiting.get(request)
    waiting?.missing.delete(from)
    if (waiting?.missing.size === 0) waiting.done()
  }

  async #publish(message: Message): Promise<void> {
    await this.#rows.link.call('PUBLISH', this.#rows.shared.changes, JSON.stringify(message))
  }

  #member(): string {
    return `${this.#self} ${this.#believeMs}`
  }

  async #sayAlive(): Promise<void> {
    const at = performance.now()
    const now = await this.#now()
    await this.#rows.link.call('ZADD', this.#rows.shared.processes, now, this.#member())
    this.#countedAt = at
    await this.#rows.link.call('ZREMRANGEBYSCORE', this.#rows.shared.processes, '-inf', now - silentAfterMs)
  }

  /** Who else runs, and how long each believes what it has read, milliseconds. */
  async #others(): Promise<ReadonlyMap<string, number>> {
    const from = (await this.#now()) - silentAfterMs
    const members = await this.#rows.texts('ZRANGE', this.#rows.shared.processes, from, '+inf', 'BYSCORE')
    const others = new Map(members.map((member) => [member.split(' ')[0] ?? '', Number(member.split(' ')[1])]))
    others.delete(this.#self)
    return others
  }

  /** Redis' own time, milliseconds: the proxies' clocks may differ. */
  async #now(): Promise<number> {
    const [seconds = 0, microseconds = 0] = (await this.#rows.texts('TIME')).map(Number)
    return seconds * 1000 + Math.floor(microseconds / 1000)
  }
}
