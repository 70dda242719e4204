// Reads and validates a request's x-cwm-* headers, and defines those of an answer.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { readApiKey } from '../base/auth.ts'
import { CwmError, type ErrorCode } from '../base/errors.ts'
import { isReservedName, isSessionId, isWindowName, sessionIdRule, windowNameRule } from '../base/ids.ts'
import { isForeignPage } from '../base/origin.ts'
import type { SessionRecord } from '../base/records.ts'
import { type Overflow, overflowPolicies } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { messageTitles } from '../dialects/index.ts'

/** The headers that cwm adds to an answer: see docs/headers.md. */
export const answerHeaders = [
  'x-cwm-session',
  'x-cwm-request-id',
  'x-cwm-context',
  'x-cwm-window',
  'x-cwm-restored',
  'x-cwm-freeze',
  'x-cwm-degraded',
  'x-cwm-truncated',
  'x-cwm-rollover',
] as const
export type AnswerHeader = (typeof answerHeaders)[number]

/** Answer headers that browsers may read, as an HTTP list. */
export const exposedHeaders = answerHeaders.join(', ')

/** By error code of windows/, the request header that `name` or `session_id` stands for. */
const headerOfError: { readonly [code in ErrorCode]?: string } = {
  WINDOW_NOT_FOUND: 'x-cwm-window',
  WINDOW_NOT_READY: 'x-cwm-window',
  WINDOW_FAILED: 'x-cwm-window',
  WINDOW_NAME_TAKEN: 'x-cwm-freeze',
  SESSION_CHANGED: 'x-cwm-session',
}

/** The error for the client of a proxied request: `param` is the header that named the window or the session. */
export function withHeaderParam(error: CwmError): CwmError {
  const { code, message, param, cause } = error
  const header = param === 'name' || param === 'session_id' ? headerOfError[code] : undefined
  return header === undefined ? error : new CwmError(code, message, { param: header, cause })
}

/** What the client requests of cwm in this request. */
export interface ControlHeaders {
  readonly session?: string
  /** Window to thaw into the session. */
  readonly window?: string
  /** Name under which to freeze the session after the answer. */
  readonly freeze?: string
  /** What to do if this turn does not fit the context. */
  readonly overflow?: Overflow
}

interface HeaderRule {
  readonly header: string
  /** Sets the field if the client sent it. */
  readonly readInto: (control: WritableControl, headers: IncomingHttpHeaders, fromPath: PathNames) => void
}

type WritableControl = { -readonly [F in keyof ControlHeaders]: ControlHeaders[F] }

/** The names in a base URL such as `/cwm/s/ID/v1`. */
interface PathNames {
  readonly session?: string
  readonly window?: string
}

/**
 * Every request header that cwm understands. Any other x-cwm-* header is rejected as a misspelling, because ignoring it would hide the
 * mistake.
 */
const rules: readonly HeaderRule[] = [
  rule('session', 'x-cwm-session', readSessionId, ({ session }) => session),
  rule('window', 'x-cwm-window', readWindowName, ({ window }) => window),
  rule('freeze', 'x-cwm-freeze', readNewName),
  rule('overflow', 'x-cwm-overflow', readOverflow),
]
const known = new Set(rules.map(({ header }) => header))

const noControl: ControlHeaders = {}

/** Throws `INVALID_HEADER` for invalid names, unknown `x-cwm-*` headers, and a header that contradicts the path. */
export function readControlHeaders(headers: IncomingHttpHeaders, fromPath: PathNames): ControlHeaders {
  let hasAny = fromPath.session !== undefined || fromPath.window !== undefined
  for (const name in headers) {
    if (!name.startsWith('x-cwm-')) continue
    hasAny = true
    if (!known.has(name)) {
      throw new CwmError('INVALID_HEADER', `unknown header ${name}; cwm knows ${[...known].join(', ')}`, {
        param: name,
      })
    }
  }
  if (!hasAny) return noControl
  const control: WritableControl = {}
  for (const { readInto } of rules) readInto(control, headers, fromPath)
  return control
}

/** `read` returns the field's value, or throws `INVALID_HEADER` with what is allowed. `nameIn` is for headers that a path can replace. */
function rule<F extends keyof ControlHeaders>(
  field: F,
  header: string,
  read: (value: string, header: string) => Required<ControlHeaders>[F],
  nameIn: (path: PathNames) => string | undefined = () => undefined,
): HeaderRule {
  return {
    header,
    readInto: (control, headers, fromPath) => {
      const value = readOnce(header, headers[header], nameIn(fromPath))
      if (value !== undefined) control[field] = read(value, header)
    },
  }
}

function readSessionId(value: string, header: string): string {
  if (!isSessionId(value)) throw invalidHeader(header, sessionIdRule)
  return value
}

function readWindowName(value: string, header: string): string {
  if (!isWindowName(value)) throw invalidHeader(header, windowNameRule)
  return value
}

function readNewName(value: string, header: string): string {
  const name = readWindowName(value, header)
  if (!isReservedName(name)) return name
  throw new CwmError('INVALID_HEADER', 'names that start with "auto." are reserved for cwm', { param: header })
}

function readOverflow(value: string, header: string): Overflow {
  const policy = overflowPolicies.find((name) => name === value)
  if (policy === undefined) throw invalidHeader(header, `one of ${overflowPolicies.join(', ')}`)
  return policy
}

/**
 * Throws `FORBIDDEN_HOST` if a page of another origin names a session or a window without a key. All callers without a key share one tenant,
 * so the page could read what this machine's user stored. A page with a key was given it.
 */
export function checkPage(request: Pick<IncomingMessage, 'headers' | 'rawHeaders'>, control: ControlHeaders): void {
  const { session, window, freeze } = control
  const names = session ?? window ?? freeze
  if (names === undefined || !isForeignPage(request.headers) || readApiKey(request) !== undefined) return
  throw new CwmError(
    'FORBIDDEN_HOST',
    'a page of another origin needs an API key to name a session or window; send one (if cwm has no list of keys, any text is accepted)',
    { param: 'origin' },
  )
}

function invalidHeader(param: string, allowed: string): CwmError {
  return new CwmError('INVALID_HEADER', `${param} must be ${allowed}`, { param })
}

function readOnce(name: string, header: string | string[] | undefined, path: string | undefined): string | undefined {
  if (Array.isArray(header))
    throw new CwmError('INVALID_HEADER', `${name} was sent more than once; send it once`, { param: name })
  if (header !== undefined && path !== undefined && header !== path) {
    throw new CwmError('INVALID_HEADER', `${name} contradicts the path; send only one of them`, { param: name })
  }
  return header ?? path
}

/** `used/limit` in tokens after the last finished turn; undefined before the first, or if the upstream does not report its limit. */
export function contextHeader({ usage, limit }: SessionRecord): string | undefined {
  return usage === undefined || limit === undefined ? undefined : `${usage.contextTokens ?? usage.totalTokens}/${limit}`
}

/**
 * Throws `NOT_SUPPORTED` for a window if the request does not contain the whole conversation. Completions have no messages. A continuation's
 * earlier messages are on the engine, so no window can precede or hold them.
 */
export function checkControl(control: ControlHeaders, rules: DialectRules, isContinuation: boolean): void {
  const header =
    control.freeze !== undefined ? 'x-cwm-freeze' : control.window !== undefined ? 'x-cwm-window' : undefined
  if (header === undefined) return
  if (rules.messagesField === undefined) {
    throw new CwmError(
      'NOT_SUPPORTED',
      `${rules.path} has no messages to freeze or thaw; use ${messageTitles.slice(0, -1).join(', ')} or ${messageTitles.at(-1)}`,
      { param: header },
    )
  }
  if (isContinuation) {
    throw new CwmError(
      'NOT_SUPPORTED',
      `${header} needs the whole conversation: send the earlier items in \`input\` instead of \`previous_response_id\``,
      { param: header },
    )
  }
}
