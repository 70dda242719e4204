// The received requests, for tests to inspect. Limited in number and in bytes.

import type { IncomingHttpHeaders } from 'node:http'

const MAX_BODY_BYTES = 64 * 1024 * 1024

/** `engine` and `lmcache` are the first ones. The others are numbered from 2: `engine-2`, `lmcache-2`. */
export type ServerName = EngineName | LmcacheName | 'coordinator'
export type EngineName = 'engine' | `engine-${number}`
export type LmcacheName = 'lmcache' | `lmcache-${number}`

export interface LoggedRequest {
  readonly server: ServerName
  readonly method: string
  /** Path and query as in the request line. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in their original order and case. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  /** `Date.now()` when the whole body had arrived. */
  readonly at: number
}

export class RequestLog {
  readonly #entries: LoggedRequest[] = []
  readonly #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(entry: LoggedRequest): void {
    this.#entries.push(entry)
    this.#bytes += entry.body.length
    while (this.#entries.length > this.#limit || (this.#bytes > MAX_BODY_BYTES && this.#entries.length > 1)) {
      this.#bytes -= this.#entries.shift()?.body.length ?? 0
    }
  }

  /** The requests of one server, or of all; oldest first. */
  all(server?: ServerName): LoggedRequest[] {
    return this.#entries.filter((entry) => server === undefined || entry.server === server)
  }

  last(server?: ServerName): LoggedRequest | undefined {
    return this.all(server).at(-1)
  }

  clear(): void {
    this.#entries.length = 0
    this.#bytes = 0
  }
}
