// One HTTP endpoint of LMCache's control plane: JSON in, JSON out, each call bounded in time and bytes.
// Requests and answers carry cache salts and token ids, so no error created here contains a body, a query or a foreign cause:
// FastAPI's 4xx answers echo the request, JSON.parse quotes its input, and fetch quotes URLs.

import type { z } from 'zod'
import { CwmError } from '../../base/errors.ts'
import { parseJson } from '../../base/json.ts'

/** The part of global `fetch` that is used, so that tests can replace it. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** One request. `path` starts with `/`. Errors name it, or `shownPath` if given; they never contain `query` or `body`. */
export interface Call<T> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  /** Replaces `path` in errors if that contains a salt. */
  readonly shownPath?: string
  readonly query?: Readonly<Record<string, string>>
  /** JSON text. */
  readonly body?: string
  readonly schema: z.ZodType<T>
  readonly signal?: AbortSignal | undefined
  /** Shortens the endpoint's own limit, never extends it. Milliseconds. */
  readonly timeoutMs?: number
}

type CallName = Pick<Call<unknown>, 'method' | 'path' | 'shownPath'>

/** A lookup over a million token ids that the directory all knows is about 10 MiB per rank. */
const maxAnswerBytes = 64 * 1024 * 1024

/**
 * A base URL without trailing slash, from an operator's or LMCache's text.
 * Throws `CONFIG` unless it is http(s) without user, query and fragment (fetch rejects users; LMCache supports none).
 */
export function parseBaseUrl(text: string, param: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CwmError('CONFIG', `${param} must look like http://host:port`, { param })
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new CwmError('CONFIG', `${param} must have no user, password, query or fragment`, { param })
  }
  return url.origin + url.pathname.replace(/\/+$/, '')
}

/** The base URL of a host as LMCache reports it: a name, an IPv4, or an IPv6 with or without brackets. */
export function urlOfHost(host: string, port: number): string {
  const bare = host.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  return parseBaseUrl(`http://${bare.includes(':') ? `[${bare}]` : bare}:${port}`, 'instance address')
}

export class Endpoint {
  readonly url: string
  readonly #timeoutMs: number
  readonly #fetch: Fetch

  /** `url` as from `parseBaseUrl`; `timeoutMs` limits each call, body included. */
  constructor(url: string, timeoutMs: number, fetchLike: Fetch = (input, init) => fetch(input, init)) {
    this.url = url
    this.#timeoutMs = timeoutMs
    this.#fetch = fetchLike
  }

  /**
   * Sends one request and returns its parsed body. Throws `LMCACHE_UNREACHABLE` (refused, timed out, connection broken) or
   * `LMCACHE_BAD_ANSWER` (status, size or shape); on abort the signal's own reason.
   */
  async call<T>(call: Call<T>): Promise<T> {
    const { signal } = call
    signal?.throwIfAborted()
    const timeoutMs = Math.max(1, Math.ceil(Math.min(this.#timeoutMs, call.timeoutMs ?? this.#timeoutMs)))
    const controller = new AbortController()
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      controller.abort()
    }, timeoutMs)
    const leave = () => controller.abort()
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return await this.#exchange(call, controller.signal)
    } catch (thrown) {
      signal?.throwIfAborted()
      if (thrown instanceof CwmError) throw thrown
      throw this.#unreachable(call, timedOut ? `did not answer within ${timeoutMs} ms` : networkFault(thrown))
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
    }
  }

  /** An `LMCACHE_BAD_ANSWER` that names the call. */
  badAnswer(call: CallName, what: string): CwmError {
    return new CwmError(
      'LMCACHE_BAD_ANSWER',
      `LMCache ${call.method} ${this.url}${call.shownPath ?? call.path} ${what}`,
    )
  }

  async #exchange<T>(call: Call<T>, signal: AbortSignal): Promise<T> {
    const query = call.query === undefined ? '' : `?${new URLSearchParams(call.query)}`
    const response = await this.#fetch(this.url + call.path + query, {
      method: call.method,
      // A redirect would send salts and token ids to a host that nobody configured.
      redirect: 'manual',
      headers: call.body === undefined ? { accept: 'application/json' } : jsonHeaders,
      ...(call.body === undefined ? {} : { body: call.body }),
      signal,
    })
    if (!response.ok) {
      ignoreCancel(response.body?.cancel())
      throw this.badAnswer(call, `answered ${response.status}`)
    }
    const text = await readText(response)
    if (text === undefined) throw this.badAnswer(call, `answered more than ${maxAnswerBytes} bytes`)
    const json = parseJson(text)
    if (json === undefined) throw this.badAnswer(call, `answered ${response.status} with a body that is not JSON`)
    const parsed = call.schema.safeParse(json)
    if (parsed.success) return parsed.data
    const faults = parsed.error.issues
      .slice(0, 3)
      .map((issue) => `${issue.code} at ${issue.path.join('.') || 'the top'}`)
    throw this.badAnswer(call, `answered an unknown shape (${faults.join('; ')}); is it LMCache 0.5.6 or later?`)
  }

  #unreachable(call: CallName, what: string): CwmError {
    return new CwmError(
      'LMCACHE_UNREACHABLE',
      `LMCache at ${this.url} ${what} (${call.method} ${call.shownPath ?? call.path}): check that it is running, and that cwm can reach this address`,
    )
  }
}

const jsonHeaders = { accept: 'application/json', 'content-type': 'application/json' }

/** The whole body as text, or undefined once it is larger than allowed; the rest is canceled. */
async function readText(response: Response): Promise<string | undefined> {
  if (response.body === null) return ''
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let bytes = 0
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    bytes += value.byteLength
    if (bytes > maxAnswerBytes) {
      ignoreCancel(reader.cancel())
      return undefined
    }
    text += decoder.decode(value, { stream: true })
  }
}

/** Not awaited: if something cloned the response, `cancel` settles only when the clone is done as well. */
function ignoreCancel(cancelled: Promise<void> | undefined): void {
  cancelled?.catch(() => undefined)
}

/** The network failure, from the error's code alone. `fetch failed` hides it in `cause`, or in `errors` for several addresses. */
function networkFault(thrown: unknown): string {
  const code = errorCode(thrown)
  if (code === 'ECONNREFUSED') return 'refused the connection'
  // Fetch's own list (whatwg fetch, "port blocking"): 6000, 6666, 10080, …
  if (thrown instanceof Error && thrown.cause instanceof Error && thrown.cause.message === 'bad port') {
    return 'is at a port that fetch blocks; choose another port'
  }
  if (code === 'ENOTFOUND') return 'has a host name that does not resolve'
  return code === undefined ? 'broke the connection' : `failed with ${code}`
}

function errorCode(thrown: unknown, depth = 0): string | undefined {
  if (!(thrown instanceof Error) || depth > 4) return undefined
  if ('code' in thrown && typeof thrown.code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(thrown.code))
    return thrown.code
  const inner: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown.cause
  return errorCode(inner, depth + 1)
}
