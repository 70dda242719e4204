// REST of a running cwm, as the commands call it: where it is, who asks, and what its refusals say. Shapes of answers are those of wire/.

import { readFile } from 'node:fs/promises'
import { errorTable } from '../../base/errors.ts'
import { isObject, type JsonObject, parseJson } from '../../base/json.ts'

export interface ConnectionOptions {
  /** Base URL of the running cwm; a trailing `/v1`, as SDKs have it, is taken off. Default: `CWM_URL`, then `http://127.0.0.1:8787`. */
  readonly url?: string | undefined
  /** File that holds the API key. Default: the variable `CWM_API_KEY`; none when both are absent. */
  readonly apiKeyFile?: string | undefined
  /** Tenant that an operator acts for. */
  readonly tenant?: string | undefined
}

/** cwm, or what stands before it, has refused. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly status: number
  /** What was answered, whole. */
  readonly body: string

  constructor(status: number, body: string) {
    super(messageOf(status, body))
    this.status = status
    this.body = body
  }
}

/** Nobody answered at the address, or something that is not cwm. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
}

/** The command line is wrong in a way that its parser cannot know. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const DEFAULT_URL = 'http://127.0.0.1:8787'

export interface Call {
  readonly method?: string
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>
  /** Sent as JSON. */
  readonly body?: object
  /** Sent as it is, as JSON. */
  readonly rawBody?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Calls a running cwm. */
export class Rest {
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>

  /** Whether requests carry an API key. Without one, only what was made without a key is visible. */
  get hasKey(): boolean {
    return this.#headers.authorization !== undefined
  }

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.url = url
    this.#headers = headers
  }

  /** The answer, its body not yet read. Throws `RefusedError` for any but a success, `UnreachableError`, and the signal's reason. */
  async send(path: string, call: Call = {}): Promise<Response> {
    const url = new URL(this.url + path)
    for (const [name, value] of Object.entries(call.query ?? {})) {
      for (const one of Array.isArray(value) ? value : [value])
        if (one !== undefined) url.searchParams.append(name, one)
    }
    const body = call.rawBody ?? (call.body === undefined ? undefined : JSON.stringify(call.body))
    let response: Response
    try {
      response = await fetch(url, {
        method: call.method ?? 'GET',
        headers: {
          ...this.#headers,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...call.headers,
        },
        ...(body === undefined ? {} : { body }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      })
    } catch (thrown) {
      call.signal?.throwIfAborted()
      throw new UnreachableError(`nothing answers at ${this.url} (${causeOf(thrown)})`, { cause: thrown })
    }
    if (response.ok) return response
    const text = await response.text()
    if (isCwmError(response, text)) throw new RefusedError(response.status, text)
    throw this.notCwmError(response.status)
  }

  /** The answer's JSON. Throws as `send`, and `UnreachableError` for an answer of something else than cwm. */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.send(path, call)
    const value = parseJson(await response.text())
    if (isObject(value) && isCwmAnswer(value)) return value as T
    throw this.notCwmError(response.status)
  }

  /** The error for an answer that cannot come from cwm. */
  notCwmError(status: number): UnreachableError {
    return new UnreachableError(`what answers at ${this.url} is not cwm (HTTP ${status})`)
  }
}

/** Reads the key, if there is one. Throws `UsageError` for a URL that is none and for a key's file that cannot be read. */
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
    throw new UsageError(`--url (or CWM_URL) is a URL like ${DEFAULT_URL}, not ${JSON.stringify(text)}`)
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`
}

async function readKeyFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    throw new UsageError(`the key's file ${file} cannot be read: ${thrown.code}`)
  })
  const key = text.trim()
  if (/^\S+$/.test(key)) return key
  throw new UsageError(`${file} must hold one API key and nothing else`)
}

const codes = new Set(Object.keys(errorTable).map((code) => code.toLowerCase()))

/** Recognized by cwm's request id, which forwarded refusals of the engine have too, or by an error code of cwm. */
function isCwmError({ headers }: Response, body: string): boolean {
  if (headers.has('x-cwm-request-id')) return true
  const value = parseJson(body)
  const error = isObject(value) ? value.error : undefined
  return isObject(error) && typeof error.code === 'string' && codes.has(error.code)
}

/** Whether it looks like an answer that commands request: a list, or an object with a name or id. */
function isCwmAnswer(answer: JsonObject): boolean {
  const { data, name, id, window } = answer
  return Array.isArray(data) || [name, id].some((text) => typeof text === 'string') || window !== undefined
}

function causeOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined
  if (cause instanceof Error) return ('code' in cause ? String(cause.code) : undefined) ?? cause.message
  return thrown instanceof Error ? thrown.message : String(thrown)
}

function messageOf(status: number, body: string): string {
  const value = parseJson(body)
  const error = isObject(value) ? value.error : undefined
  const words = isObject(error) && typeof error.message === 'string' ? error.message : `HTTP ${status}`
  return status === 401 ? `${words}; set CWM_API_KEY, or give --api-key-file` : words
}
