// A document that is the same for everybody while this process runs: built once, sent as bytes, and not sent again to who has it already.
// Nobody needs a key for such documents, so what one costs must not depend on how often it is asked for.

import { createHash } from 'node:crypto'

export interface StaticAnswer {
  readonly status: 200 | 304
  /** Null where the client has the document. */
  readonly body: Uint8Array<ArrayBuffer> | null
  readonly headers: Record<string, string>
}

interface Built {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly etag: string
}

const ETAG_CHARACTERS = 22
/** Kept by whoever got it, and asked after each time: another version of cwm may answer the next request. */
const ASK_EACH_TIME = 'no-cache'

export class StaticDocument {
  readonly #type: string
  readonly #build: () => Promise<string | Uint8Array> | string | Uint8Array
  readonly #cacheControl: string
  #built: Promise<Built> | undefined

  /** @param build Called by the first request, and again only after it failed. */
  constructor(
    type: string,
    build: () => Promise<string | Uint8Array> | string | Uint8Array,
    cacheControl = ASK_EACH_TIME,
  ) {
    this.#type = type
    this.#build = build
    this.#cacheControl = cacheControl
  }

  /** What to answer to a request with this `If-None-Match` (RFC 9110 13.1.2). Throws what the build threw. */
  async answer(ifNoneMatch: string | undefined): Promise<StaticAnswer> {
    this.#built ??= this.#buildOnce().catch((thrown: unknown) => {
      this.#built = undefined
      throw thrown
    })
    const { bytes, etag } = await this.#built
    const headers = { etag, 'cache-control': this.#cacheControl }
    if (ifNoneMatch !== undefined && names(ifNoneMatch, etag)) return { status: 304, body: null, headers }
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

/** Compared weakly: a proxy in between may have marked it so when it compressed the body. */
function names(ifNoneMatch: string, etag: string): boolean {
  return ifNoneMatch.split(',').some((one) => {
    const tag = one.trim()
    return tag === '*' || tag.replace(/^W\//, '') === etag
  })
}
