// One connection to Redis (or to each node of a cluster). Every command has a deadline, a Redis that does not answer is left alone for a
// moment, and every failure becomes a CwmError. Knows nothing of sessions and windows.

import { Cluster, Redis } from 'ioredis'
import { answerWithin } from '../../base/answer-within.ts'
import { CwmError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { describeFailure, errorReplyOf, storeUnavailable } from './redis-errors.ts'
import type { Script } from './redis-scripts.ts'
import type { RedisAddress } from './redis-url.ts'

export type Word = string | number | Buffer

export interface LinkOptions {
  readonly address: RedisAddress
  /** Timeout of a command, milliseconds. */
  readonly timeoutMs: number
  /** How long calls fail at once after a call without an answer, milliseconds. */
  readonly restMs: number
  /** Called when Redis stops answering, and when it answers again. */
  readonly log?: Pick<Logger, 'info' | 'warn'>
}

/** Timeout of a connection attempt, milliseconds. */
export const openTimeoutMs = 5000
const longestPauseMs = 1000

/** The client without its own retries and delays: deadlines and retries belong to this file and its callers. */
export function connect(address: RedisAddress): Redis | Cluster {
  const { host, port, username, password, db, tls } = address
  const pause = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 10), longestPauseMs)
  const shared = {
    db,
    protocol: 2 as const,
    connectTimeout: openTimeoutMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false, // see redis-changes.ts
    disableClientInfo: true,
    // After a failover the old address is a replica, but its name leads to the new master.
    reconnectOnError: (error: Error) => errorReplyOf(error) === 'READONLY',
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  }
  if (address.cluster) {
    return new Cluster([{ host, port }], {
      enableOfflineQueue: false,
      clusterRetryStrategy: pause,
      lazyConnect: true,
      redisOptions: shared,
    })
  }
  return new Redis({ ...shared, host, port, enableOfflineQueue: false, retryStrategy: pause, lazyConnect: true })
}

export class RedisLink {
  readonly #client: Redis | Cluster
  readonly #options: LinkOptions
  /** Until when all calls fail, on `performance.now()`; undefined while Redis answers. */
  #restsUntil: number | undefined
  #trying = false
  #lastError: unknown

  private constructor(client: Redis | Cluster, options: LinkOptions) {
    this.#client = client
    this.#options = options
    client.on('error', (error) => {
      this.#lastError = error
    })
    client.on('ready', () => this.#back())
  }

  /** Connects. Throws `CONFIG` if Redis rejects the credentials, otherwise `STORE_UNAVAILABLE`. */
  static async open(options: LinkOptions): Promise<RedisLink> {
    const client = connect(options.address)
    const link = new RedisLink(client, options)
    try {
      await deadline(client.connect(), openTimeoutMs)
      await link.#select(options.address)
      return link
    } catch (thrown) {
      client.disconnect()
      throw thrown instanceof CwmError && thrown.code === 'CONFIG' ? thrown : describeFailure(link.#lastError ?? thrown)
    }
  }

  /** Verifies the database: ioredis continues in number 0 if another is rejected. */
  async #select({ cluster, db }: RedisAddress): Promise<void> {
    try {
      await (cluster ? this.call('PING') : this.call('SELECT', db))
    } catch (thrown) {
      if (this.isAway || db === 0) throw thrown
      throw new CwmError('CONFIG', `Redis does not have, or does not permit, the database ${db} in the store's URL`)
    }
  }

  /** Whether the last call got no answer. */
  get isAway(): boolean {
    return this.#restsUntil !== undefined
  }

  /** Sends one command; text is returned as Buffers. */
  async call(command: string, ...words: readonly Word[]): Promise<unknown> {
    const trial = this.#restsUntil !== undefined
    if (trial) {
      if (this.#trying || performance.now() < (this.#restsUntil ?? 0))
        throw storeUnavailable('it has stopped answering')
      this.#trying = true
    }
    try {
      const answer = await deadline(this.#client.callBuffer(command, [...words]), this.#options.timeoutMs)
      if (trial) this.#back()
      return answer
    } catch (thrown) {
      const failure = describeFailure(thrown)
      // An error reply is an answer, so Redis is reachable.
      if (errorReplyOf(thrown) === undefined) this.#away(failure)
      else this.#back()
      throw failure
    } finally {
      if (trial) this.#trying = false
    }
  }

  #away({ message }: CwmError): void {
    if (!this.isAway)
      this.#options.log?.warn({ why: message }, 'the Redis store does not answer: turns continue, isolated and cold')
    this.#restsUntil = performance.now() + this.#options.restMs
  }

  #back(): void {
    if (this.isAway) this.#options.log?.info({}, 'the Redis store answers again')
    this.#restsUntil = undefined
  }

  /** Runs a script, and loads it first if Redis does not have it. */
  async run(script: Script, keys: readonly string[], args: readonly Word[]): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args]
    try {
      return await this.call('EVALSHA', script.sha, ...rest)
    } catch (thrown) {
      if (!isUnknownScript(thrown)) throw thrown
      return this.call('EVAL', script.lua, ...rest)
    }
  }

  close(): void {
    this.#client.disconnect()
  }
}

function isUnknownScript(thrown: unknown): boolean {
  return thrown instanceof CwmError && thrown.message.includes('(NOSCRIPT)')
}

/** The answer, or `STORE_UNAVAILABLE` after the timeout; a later answer is ignored. */
export function deadline<T>(answer: Promise<T>, ms: number): Promise<T> {
  return answerWithin(answer, ms, () => storeUnavailable(`it did not answer within ${ms} ms`))
}
