// The table of errors: a stable code, its HTTP status, and a message with instructions for the client or the operator.

/** HTTP status and error `type` (OpenAI's names) per code. Match on the code, never on the message. */
const table = {
  // The request itself.
  INVALID_JSON: [400, 'invalid_request_error'],
  INVALID_UTF8: [400, 'invalid_request_error'],
  INVALID_FIELD: [400, 'invalid_request_error'],
  FORBIDDEN_FIELD: [400, 'invalid_request_error'],
  FORBIDDEN_HEADER: [400, 'invalid_request_error'],
  INVALID_HEADER: [400, 'invalid_request_error'],
  INVALID_PATH: [400, 'invalid_request_error'],
  BODY_TOO_DEEP: [400, 'invalid_request_error'],
  BODY_TOO_COMPLEX: [400, 'invalid_request_error'],
  CONTEXT_LENGTH_EXCEEDED: [400, 'invalid_request_error'],
  BODY_TOO_LARGE: [413, 'invalid_request_error'],
  UNSUPPORTED_ENCODING: [415, 'invalid_request_error'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'invalid_request_error'],
  BODY_TIMEOUT: [408, 'invalid_request_error'],
  HEADERS_TOO_LARGE: [431, 'invalid_request_error'],
  INVALID_HTTP: [400, 'invalid_request_error'],
  NOT_SUPPORTED: [400, 'invalid_request_error'],
  MISDIRECTED_REQUEST: [421, 'invalid_request_error'],
  UNKNOWN_PATH: [404, 'not_found_error'],
  UNSALTED_PATH: [403, 'permission_error'],
  METHOD_NOT_ALLOWED: [405, 'invalid_request_error'],
  UPGRADE_REQUIRED: [426, 'invalid_request_error'],
  UNAUTHORIZED: [401, 'authentication_error'],
  FORBIDDEN_HOST: [403, 'permission_error'],
  FORBIDDEN_MODEL: [403, 'permission_error'],
  OPERATOR_MAY_NOT_READ: [403, 'permission_error'],
  // 403, not 429: SDKs of OpenAI and Anthropic retry 408, 409, 429, and 5xx, and no retry frees a quota.
  QUOTA_EXCEEDED: [403, 'quota_exceeded_error'],
  RATE_LIMIT_EXCEEDED: [429, 'rate_limit_error'],
  // 400, where OpenAI answers 429 to what no retry lets through: SDKs would send it again.
  RATE_LIMIT_TOO_SMALL: [400, 'invalid_request_error'],
  // 429 too, not Anthropic's 529 or a 503: nothing is broken, and balancers take a server that answers 5xx out of service.
  OVERLOADED: [429, 'rate_limit_error'],
  // Sessions and windows.
  SESSION_NOT_FOUND: [404, 'not_found_error'],
  SESSION_EMPTY: [409, 'conflict_error'],
  SESSION_AMBIGUOUS: [409, 'conflict_error'],
  SESSION_HAS_TURNS: [409, 'conflict_error'],
  SESSION_CHANGED: [409, 'conflict_error'],
  SESSION_ENDED: [410, 'conflict_error'],
  WINDOW_NOT_FOUND: [404, 'not_found_error'],
  WINDOW_NAME_TAKEN: [409, 'conflict_error'],
  WINDOW_NOT_READY: [409, 'conflict_error'],
  WINDOW_FAILED: [422, 'invalid_request_error'],
  WINDOW_DIVERGES: [409, 'conflict_error'],
  WINDOW_MISMATCH: [409, 'conflict_error'],
  WINDOW_CORRUPT: [500, 'server_error'],
  ASK_NEEDS_TOOL_RESULT: [409, 'conflict_error'],
  ASK_CALLED_TOOL: [422, 'invalid_request_error'],
  ASK_BUDGET_USED_UP: [422, 'invalid_request_error'],
  ASK_DEADLINE: [504, 'server_error'],
  PASSAGES_TOO_LARGE: [422, 'invalid_request_error'],
  LIBRARY_NOT_FOUND: [404, 'not_found_error'],
  LIBRARY_CHANGED: [409, 'conflict_error'],
  PIN_BUDGET_FULL: [403, 'quota_exceeded_error'],
  INVALID_IMPORT: [400, 'invalid_request_error'],
  INVALID_SETTINGS: [422, 'invalid_request_error'],
  DELETION_NOT_FOUND: [404, 'not_found_error'],
  RESPONSE_NOT_FOUND: [404, 'not_found_error'],
  ENGINE_NOT_FOUND: [404, 'not_found_error'],
  LAST_ENGINE: [409, 'conflict_error'],
  TENANT_NOT_FOUND: [404, 'not_found_error'],
  KEY_NOT_FOUND: [404, 'not_found_error'],
  KEY_NAME_TAKEN: [409, 'conflict_error'],
  // The services behind cwm.
  UPSTREAM_REFUSED: [502, 'upstream_error'],
  UPSTREAM_TIMEOUT: [504, 'upstream_error'],
  UPSTREAM_BROKEN: [502, 'upstream_error'],
  UPSTREAM_REJECTED: [502, 'upstream_error'],
  UPSTREAM_OPEN: [503, 'upstream_error'],
  LMCACHE_UNREACHABLE: [502, 'upstream_error'],
  LMCACHE_BAD_ANSWER: [502, 'upstream_error'],
  STORE_UNAVAILABLE: [503, 'server_error'],
  BUSY: [503, 'server_error'],
  SHUTTING_DOWN: [503, 'server_error'],
  CLIENT_GONE: [499, 'client_error'],
  CONFIG: [500, 'server_error'],
  INTERNAL: [500, 'server_error'],
} as const satisfies Record<string, readonly [status: number, type: string]>

export type ErrorCode = keyof typeof table

/**
 * Codes with a status that the SDKs of OpenAI and Anthropic retry (408, 409, 429, 5xx) although a retry cannot succeed: the request or the
 * store must change first. All other codes with such a status are temporary.
 */
const hopeless: ReadonlySet<ErrorCode> = new Set([
  'SESSION_EMPTY',
  'SESSION_AMBIGUOUS',
  'SESSION_HAS_TURNS',
  'WINDOW_NAME_TAKEN',
  'WINDOW_DIVERGES',
  'WINDOW_MISMATCH',
  'WINDOW_CORRUPT',
  'LAST_ENGINE',
  'KEY_NAME_TAKEN',
  'ASK_NEEDS_TOOL_RESULT',
])

/** The limit that a rejected body exceeds: the label of `cwm_refused_total`. */
export type Bound =
  | 'body_bytes'
  | 'unpacked_ratio'
  | 'body_values'
  | 'object_members'
  | 'messages'
  | 'depth'
  | 'repeated_member'

/** An error with a stable code. `param` names the field, header or path that caused it. */
export class CwmError extends Error {
  override readonly name = 'CwmError'
  readonly code: ErrorCode
  readonly param: string | undefined
  /** Another server's message. It may quote the client's prompt, so it is sent to the client and never logged. */
  readonly detail: string | undefined
  /** The HTTP status of another server's error answer. */
  readonly refusedWith: number | undefined
  /** Seconds until a retry may succeed, for the header `Retry-After`; undefined if a retry would not help. */
  readonly retryAfterS: number | undefined
  /** The limit that the request's body exceeds. */
  readonly bound: Bound | undefined
  /** Headers that HTTP requires with this status, by lower-case name. */
  readonly headers: Readonly<Record<string, string>> | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      param?: string
      cause?: unknown
      detail?: string
      refusedWith?: number
      retryAfterS?: number
      bound?: Bound
      headers?: Readonly<Record<string, string>>
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.param = options.param
    this.detail = options.detail
    this.refusedWith = options.refusedWith
    this.bound = options.bound
    this.headers = options.headers
    this.retryAfterS = options.retryAfterS ?? (this.status === 503 ? 1 : undefined)
  }

  get status(): number {
    return table[this.code][0]
  }

  /** The message with the detail: for the client, never for logs. */
  get clientMessage(): string {
    return this.detail === undefined ? this.message : `${this.message}: ${this.detail}`
  }

  get type(): string {
    return table[this.code][1]
  }

  get #isHopeless(): boolean {
    return hopeless.has(this.code) || (this.refusedWith !== undefined && isFinalRefusal(this))
  }

  /**
   * Additional headers of the answer, by lower-case name: those that HTTP requires, `retry-after`, and `x-should-retry: false` if a retry
   * cannot succeed. The SDKs of OpenAI and Anthropic respect it (`shouldRetry` in `client.js` of `openai` and `@anthropic-ai/sdk`).
   */
  get answerHeaders(): Readonly<Record<string, string>> {
    return {
      ...this.headers,
      ...(this.retryAfterS === undefined ? {} : { 'retry-after': String(this.retryAfterS) }),
      ...(this.#isHopeless ? { 'x-should-retry': 'false' } : {}),
    }
  }
}

/** The client disconnected, so nobody receives the answer. `before`: what it did not wait for. */
export function clientGone(before: string): CwmError {
  return new CwmError('CLIENT_GONE', `the client left before ${before}`)
}

/** Whether the store cannot be reached or written, so that work which can do without it continues. */
export function isStoreUnavailable(thrown: unknown): boolean {
  return thrown instanceof CwmError && thrown.code === 'STORE_UNAVAILABLE'
}

/** All codes with status and type, for the docs and for tests. */
export const errorTable: Readonly<Record<ErrorCode, readonly [status: number, type: string]>> = table

/** Converts any thrown value to a CwmError. Other errors become `INTERNAL`, with the cause kept and its text withheld from clients. */
export function toCwmError(thrown: unknown): CwmError {
  if (thrown instanceof CwmError) return thrown
  return new CwmError('INTERNAL', 'cwm failed on this request; the log has the cause under its x-cwm-request-id', {
    cause: thrown,
  })
}

/** Statuses for a rejected call, and for a disabled or missing endpoint. */
const FINAL: readonly number[] = [400, 403, 404, 405, 422, 501]

/**
 * Whether the upstream would reject the same call again. Not if it rejected the key or an excess call, if it failed itself, or if the
 * answer is not an engine's.
 */
export function isFinalRefusal(thrown: unknown): boolean {
  if (!(thrown instanceof CwmError) || thrown.code !== 'UPSTREAM_REJECTED') return false
  return thrown.refusedWith === undefined || FINAL.includes(thrown.refusedWith)
}
