// Notifications between proxies through Redis: what was changed, and that a retired lineage is invalidated. Messages may be lost, so
// maxStalenessMs limits how long a proxy trusts its reads without them. A caller that must be sure waits for answers or for that long.

import { setImmediate as afterAnswers } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { randomId } from '../../base/ids.ts'
import { isObject, parseJson } from '../../base/json.ts'
import type { StoreChange } from '../store-values.ts'
import { describeFailure } from './redis-errors.ts'
import { connect, deadline, openTimeoutMs } from './redis-link.ts'
import type { RedisRows } from './redis-rows.ts'
import type { RedisAddress } from './redis-url.ts'

type Listener = (change: StoreChange) => void
type LineageChange = Extract<StoreChange, { kind: 'lineage' }>

/** `ack`: the request whose change `from` has applied. */
interface Message {
  readonly from: string
  readonly change?: StoreChange
  readonly request?: string
  readonly ack?: string
}

/** A caller that waits for answers, and the proxies that have not answered. */
interface Waiting {
  readonly missing: Set<string>
  readonly done: () => void
}

const beatMs = 3000
/** A proxy not seen for this long has no trusted reads left, or cannot reach Redis. */
const silentAfterMs = 15_000
/** Margin between the write and the moment others count from: an answer on its way, and unsteady clocks. */
const marginMs = 250

export class RedisChanges {
  readonly #rows: RedisRows
  readonly #subscriber: Redis | Cluster
  readonly #maxStalenessMs: number
  readonly #self = randomId()
  readonly #listeners = new Set<Listener>()
  /** Bounded by the number of concurrent retirements. */
  readonly #waiting = new Map<string, Waiting>()
  #beat: NodeJS.Timeout | undefined
  #isSubscribed = true
  /** When Redis learned that this proxy runs, on `performance.now()`. */
  #countedAt = 0

  private constructor(rows: RedisRows, address: RedisAddress, maxStalenessMs: number) {
    this.#rows = rows
    this.#maxStalenessMs = maxStalenessMs
    this.#subscriber = connect(address)
    this.#subscriber.on('error', () => {}) // the client reconnects automatically
    this.#subscriber.on('message', (_channel: string, text: string) => this.#hear(text))
  }

  /** Subscribes and registers this proxy. Rejects with `STORE_UNAVAILABLE`. */
  static async open(rows: RedisRows, address: RedisAddress, maxStalenessMs: number): Promise<RedisChanges> {
    const changes = new RedisChanges(rows, address, maxStalenessMs)
    try {
      // A server that accepts the connection and never answers must not block the start indefinitely.
      await deadline(changes.#subscriber.connect(), openTimeoutMs)
      await deadline(changes.#subscriber.subscribe(rows.shared.changes), openTimeoutMs)
      changes.#subscriber.on('ready', () => changes.#subscribeAgain())
      await changes.#sayAlive()
    } catch (thrown) {
      changes.#subscriber.disconnect()
      throw describeFailure(thrown)
    }
    changes.#beat = setInterval(() => changes.#onBeat(), beatMs)
    changes.#beat.unref()
    return changes
  }

  /**
   * A proxy that retires a lineage waits only for proxies seen recently. If this one is cut off from Redis, its reads soon become invalid.
   */
  get maxStalenessMs(): number {
    const countedUntil = this.#countedAt + silentAfterMs - marginMs
    return Math.max(0, Math.min(this.#maxStalenessMs, countedUntil - performance.now()))
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Notifies the others if possible. */
  tell(change: StoreChange): void {
    this.#publish({ from: this.#self, change }).catch(() => {})
  }

  /** Notifies the others, and resolves when each has answered or can no longer trust the old state. Never rejects. */
  async tellAndWait(change: LineageChange): Promise<void> {
    const request = randomId()
    try {
      const others = await this.#others()
      if (others.size === 0) return
      await this.#answers(request, new Set(others.keys()), Math.max(...others.values()), () =>
        this.#publish({ from: this.#self, change, request }),
      )
    } catch {
      await this.#answers(request, new Set(['anybody']), this.#maxStalenessMs, async () => {})
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#beat)
    this.#subscriber.disconnect()
    await this.#rows.link.call('ZREM', this.#rows.shared.processes, this.#member()).catch(() => {})
  }

  /** Resolves when all of `missing` have answered `ask`, or after `maxStalenessMs` and a margin. */
  async #answers(
    request: string,
    missing: Set<string>,
    maxStalenessMs: number,
    ask: () => Promise<void>,
  ): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(request)
        resolve()
      }
      const timer = setTimeout(done, maxStalenessMs + marginMs)
      this.#waiting.set(request, { missing, done })
      ask().catch(() => {}) // nobody will answer, so the timeout decides
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
   * A read that Redis answered before the change may still be on its way here. Answers arrive in order, so after a later one has arrived,
   * that one has too. Then the listeners are notified again, and only then the requester.
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

  #onBeat(): void {
    this.#sayAlive().catch(() => {})
    if (!this.#isSubscribed && this.#subscriber.status === 'ready') this.#subscribeAgain()
  }

  /**
   * After each reconnect. ioredis' own `autoResubscribe` leaves the rejection unhandled if the connection breaks again meanwhile, or if Redis
   * refuses, and that would end the process.
   */
  #subscribeAgain(): void {
    this.#isSubscribed = false
    this.#subscriber.subscribe(this.#rows.shared.changes).then(
      () => {
        this.#isSubscribed = true
      },
      () => {}, // the next connection or beat tries again
    )
  }

  #member(): string {
    return `${this.#self} ${this.#maxStalenessMs}`
  }

  async #sayAlive(): Promise<void> {
    const at = performance.now()
    const now = await this.#now()
    await this.#rows.link.call('ZADD', this.#rows.shared.processes, now, this.#member())
    this.#countedAt = at
    await this.#rows.link.call('ZREMRANGEBYSCORE', this.#rows.shared.processes, '-inf', now - silentAfterMs)
  }

  /** The other running proxies, and how long each trusts its reads, milliseconds. */
  async #others(): Promise<ReadonlyMap<string, number>> {
    const from = (await this.#now()) - silentAfterMs
    const members = await this.#rows.texts('ZRANGE', this.#rows.shared.processes, from, '+inf', 'BYSCORE')
    const others = new Map(members.map((member) => [member.split(' ')[0] ?? '', Number(member.split(' ')[1])]))
    others.delete(this.#self)
    return others
  }

  /** Redis' own time, milliseconds, because the proxies' clocks may differ. */
  async #now(): Promise<number> {
    const [seconds = 0, microseconds = 0] = (await this.#rows.texts('TIME')).map(Number)
    return seconds * 1000 + Math.floor(microseconds / 1000)
  }
}
