// The commands' REST client: address, credentials, and errors. The types of responses are those of wire/.

import { readFile } from 'node:fs/promises'
import { errorTable } from '../../base/errors.ts'
import { isObject, type JsonObject, parseJson } from '../../base/json.ts'
import { sendRequest } from './transport.ts'

export interface ConnectionOptions {
  /** Base URL of the running cwm; a trailing `/v1`, as SDKs use it, is removed. Default: `CWM_URL`, then `http://127.0.0.1:8787`. */
  readonly url?: string | undefined
  /** File that contains the API key. Default: the variable `CWM_API_KEY`, otherwise no key. */
  readonly apiKeyFile?: string | undefined
  /** Tenant that the operator acts for. */
  readonly tenant?: string | undefined
}

/** cwm, or a proxy in front of it, rejected the request. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly status: number
  /** The complete response body. */
  readonly body: string

  constructor(status: number, body: string) {
    super(messageOf(status, body))
    this.status = status
    this.body = body
  }
}

/** Nothing answered at the address, or something other than cwm. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
}

/** The command line is invalid in a way that its parser cannot detect. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const DEFAULT_URL = 'http://127.0.0.1:8787'

export interface Call {
  readonly method?: string
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>
  /** Sent as JSON. */
  readonly body?: object
  /** JSON text to send unchanged. */
  readonly rawBody?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** An error status whose response is returned, not thrown. */
  readonly accept?: number
}

/** Calls a running cwm. */
export class Rest {
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>

  /** Whether requests carry an API key. Without one, only what was created without a key is visible. */
  get hasKey(): boolean {
    return this.#headers.authorization !== undefined
  }

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.url = url
    this.#headers = headers
  }

  /** Returns the response with its body unread. Throws `RefusedError` unless it is a success, `UnreachableError`, and the signal's reason. */
  async send(path: string, call: Call = {}): Promise<Response> {
    const url = new URL(this.url + path)
    for (const [name, value] of Object.entries(call.query ?? {})) {
      for (const one of Array.isArray(value) ? value : [value])
        if (one !== undefined) url.searchParams.append(name, one)
    }
    const body = call.rawBody ?? (call.body === undefined ? undefined : JSON.stringify(call.body))
    const headers = {
      ...this.#headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...call.headers,
    }
    let response: Response
    try {
      response = await sendRequest(url, { method: call.method ?? 'GET', headers, body, signal: call.signal })
    } catch (thrown) {
      call.signal?.throwIfAborted()
      throw new UnreachableError(`cannot connect to ${this.url} (${causeOf(thrown)})`, { cause: thrown })
    }
    if (response.ok || response.status === call.accept) return response
    const to = response.headers.get('location')
    if (response.status >= 300 && response.status < 400 && to !== null) {
      await response.body?.cancel()
      throw new UnreachableError(`${this.url} redirects to ${to}; set --url (or CWM_URL) to the address of cwm`)
    }
    const text = await response.text()
    if (isCwmError(response, text)) throw new RefusedError(response.status, text)
    throw this.notCwmError(response.status)
  }

  /** Returns the response's JSON. Throws like `send`, and `UnreachableError` if the response is not cwm's. */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.send(path, call)
    const value = parseJson(await response.text())
    if (isObject(value) && isCwmAnswer(value)) return value as T
    throw this.notCwmError(response.status)
  }

  /** The error for a response that cannot come from cwm. */
  notCwmError(status: number): UnreachableError {
    return new UnreachableError(`the server at ${this.url} is not cwm (HTTP ${status})`)
  }
}

/** Reads the key, if any. Throws `UsageError` for an invalid URL or an unreadable key file. */
export async function connect(options: ConnectionOptions, environment: NodeJS.ProcessEnv): Promise<Rest> {
  const apiKey = options.apiKeyFile === undefined ? environment.CWM_API_KEY : await readKeyFile(options.apiKeyFile)
  return new Rest(parseUrl(options.url ?? (environment.CWM_URL || DEFAULT_URL)), {
    ...(apiKey === undefined || apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` }),
    ...(options.tenant === undefined ? {} : { 'x-cwm-tenant': options.tenant }),
  })
}

function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`--url (or CWM_URL) must be a URL like ${DEFAULT_URL}, not ${JSON.stringify(text)}`)
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`
}

async function readKeyFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read the key file ${file}: ${thrown.code}`)
  })
  const key = text.trim()
  if (/^\S+$/.test(key)) return key
  throw new UsageError(`${file} must contain one API key and nothing else`)
}

const codes = new Set(Object.keys(errorTable).map((code) => code.toLowerCase()))

/** Recognizes an error by cwm's request id, which forwarded errors of the engine have too, or by an error code of cwm. */
function isCwmError({ headers }: Response, body: string): boolean {
  if (headers.has('x-cwm-request-id')) return true
  const value = parseJson(body)
  const error = isObject(value) ? value.error : undefined
  return isObject(error) && typeof error.code === 'string' && codes.has(error.code)
}

/** Whether the JSON looks like a response that commands expect: a list, an object with a name or id, or a reload. */
function isCwmAnswer(answer: JsonObject): boolean {
  const { data, name, id, window, changed } = answer
  return (
    [data, changed].some(Array.isArray) || [name, id].some((text) => typeof text === 'string') || window !== undefined
  )
}

function causeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.message
}

function messageOf(status: number, body: string): string {
  const value = parseJson(body)
  const error = isObject(value) ? value.error : undefined
  const message = isObject(error) && typeof error.message === 'string' ? error.message : `HTTP ${status}`
  return status === 401 ? `${message}; set CWM_API_KEY or --api-key-file` : message
}
