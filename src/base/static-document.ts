// A document that is the same for every client of this process: built once, sent as bytes, and not resent to a client that has it.
// Such documents need no key, so their cost must not grow with the number of requests.

import { createHash } from 'node:crypto'

export interface StaticAnswer {
  readonly status: 200 | 304
  /** Null if the client has the document. */
  readonly body: Uint8Array<ArrayBuffer> | null
  readonly headers: Record<string, string>
}

interface Built {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly etag: string
}

const ETAG_CHARACTERS = 22
/** Clients keep it and revalidate each time, because another version of cwm may answer the next request. */
const REVALIDATE = 'no-cache'

export class StaticDocument {
  readonly #type: string
  readonly #build: () => Promise<string | Uint8Array> | string | Uint8Array
  readonly #cacheControl: string
  #built: Promise<Built> | undefined

  /**
   * @param build Called on the first request, and again only after it failed.
   * @param cacheControl The value of the `Cache-Control` header.
   */
  constructor(
    type: string,
    build: () => Promise<string | Uint8Array> | string | Uint8Array,
    cacheControl = REVALIDATE,
  ) {
    this.#type = type
    this.#build = build
    this.#cacheControl = cacheControl
  }

  /** The response to a request with this `If-None-Match` (RFC 9110, 13.1.2). Throws what `build` throws. */
  async answer(ifNoneMatch: string | undefined): Promise<StaticAnswer> {
    this.#built ??= this.#buildOnce().catch((thrown: unknown) => {
      this.#built = undefined
      throw thrown
    })
    const { bytes, etag } = await this.#built
    const headers = { etag, 'cache-control': this.#cacheControl }
    if (ifNoneMatch !== undefined && matches(ifNoneMatch, etag)) return { status: 304, body: null, headers }
    return {
      status: 200,
      body: bytes,
      headers: { ...headers, 'content-type': this.#type, 'content-length': String(bytes.length) },
    }
  }

  async #buildOnce(): Promise<Built> {
    const bytes = new Uint8Array(Buffer.from(await this.#build()))
    const hash = createHash('sha256').update(bytes).digest('base64url')
    return { bytes, etag: `"${hash.slice(0, ETAG_CHARACTERS)}"` }
  }
}

/**
 * Whether an `If-None-Match` names the ETag (RFC 9110, 13.1.2). Weak comparison, because a proxy in between may weaken the ETag when it
 * compresses the body.
 */
export function matches(ifNoneMatch: string, etag: string): boolean {
  return ifNoneMatch.split(',').some((one) => {
    const tag = one.trim()
    return tag === '*' || tag.replace(/^W\//, '') === etag
  })
}
