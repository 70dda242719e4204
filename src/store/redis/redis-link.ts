// One connection to Redis (or to each node of a cluster) behind one door: every command has a deadline, a Redis that does not
// answer is left alone for a moment, and whatever fails comes out as a CwmError. Knows nothing of sessions and windows.

import { Cluster, Redis } from 'ioredis'
import { CwmError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { describeFailure, refusal, storeUnavailable } from './redis-errors.ts'
import type { Script } from './redis-scripts.ts'
import type { RedisAddress } from './redis-url.ts'

export type Word = string | number | Buffer

export interface LinkOptions {
  readonly address: RedisAddress
  /** How long a command may take, milliseconds. */
  readonly timeoutMs: number
  /** How long to fail at once after a call that got no answer, milliseconds. */
  readonly restMs: number
  /** Is told when Redis stops answering, and when it answers again. Absent: nobody is. */
  readonly log?: Pick<Logger, 'info' | 'warn'>
}

/** How long a connection may take to be made, milliseconds. */
export const openTimeoutMs = 5000
const longestPauseMs = 1000

/** The client with all that keeps it from waiting on its own: deadlines and retries are this file's and its callers'. */
export function connect(address: RedisAddress): Redis | Cluster {
  const { host, port, username, password, db, tls } = address
  const pause = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 10), longestPauseMs)
  const shared = {
    db,
    protocol: 2 as const,
    connectTimeout: openTimeoutMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    disableClientInfo: true,
    // After a failover the old address is a replica: its name leads to the new master.
    reconnectOnError: (error: Error) => refusal(error) === 'READONLY',
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
  /** Until when nobody is let through, on `performance.now()`; undefined while all is well. */
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

  /** Connects. Throws `CONFIG` for credentials that Redis refuses, else `STORE_UNAVAILABLE`. */
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

  /** Makes sure of the database: ioredis goes on in number 0 where it is refused another. */
  async #select({ cluster, db }: RedisAddress): Promise<void> {
    try {
      await (cluster ? this.call('PING') : this.call('SELECT', db))
    } catch (thrown) {
      if (this.isAway || db === 0) throw thrown
      throw new CwmError(
        'CONFIG',
        `Redis has no database ${db}, which the store's URL names, or does not let cwm use it`,
      )
    }
  }

  /** The last call got no answer. */
  get isAway(): boolean {
    return this.#restsUntil !== undefined
  }

  /** Sends one command; text comes back as Buffers. */
  async call(command: string, ...words: readonly Word[]): Promise<unknown> {
    const trial = this.#restsUntil !== undefined
    if (trial) {
      if (this.#trying || performance.now() < (this.#restsUntil ?? 0))
        throw storeUnavailable('it did not answer just now')
      this.#trying = true
    }
    try {
      const answer = await deadline(this.#client.callBuffer(command, [...words]), this.#options.timeoutMs)
      if (trial) this.#back()
      return answer
    } catch (thrown) {
      const failure = describeFailure(thrown)
      // A refusal is an answer: Redis is there.
      if (refusal(thrown) === undefined) this.#away(failure)
      else this.#back()
      throw failure
    } finally {
      if (trial) this.#trying = false
    }
  }

  #away({ message }: CwmError): void {
    if (!this.isAway)
      this.#options.log?.warn({ why: message }, 'the Redis store is away: turns go on isolated and cold')
    this.#restsUntil = performance.now() + this.#options.restMs
  }

  #back(): void {
    if (this.isAway) this.#options.log?.info({}, 'the Redis store is back')
    this.#restsUntil = undefined
  }

  /** Runs a script, which Redis may have forgotten or never seen. */
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

/** The answer, or `STORE_UNAVAILABLE` when it takes longer; what comes later is dropped. */
export async function deadline<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(storeUnavailable(`it did not answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
