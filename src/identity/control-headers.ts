// The x-cwm-* headers of a request, checked, and those of an answer.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { readApiKey } from '../base/auth.ts'
import { CwmError, type ErrorCode } from '../base/errors.ts'
import { isReservedName, isSessionId, isWindowName, sessionIdRule, windowNameRule } from '../base/ids.ts'
import { isForeignPage } from '../base/origin.ts'
import type { SessionRecord } from '../base/records.ts'
import { type Overflow, overflowPolicies } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { messageTitles } from '../dialects/index.ts'

/** What cwm adds to an answer: see docs/headers.md. */
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

/** Answer headers that browsers may read: a list as HTTP writes it. */
export const exposedHeaders = answerHeaders.join(', ')

/** The header in which a request names what `name` or `session_id` means in an error of windows. */
const headerOfError: { readonly [code in ErrorCode]?: string } = {
  WINDOW_NOT_FOUND: 'x-cwm-window',
  WINDOW_NOT_READY: 'x-cwm-window',
  WINDOW_FAILED: 'x-cwm-window',
  WINDOW_NAME_TAKEN: 'x-cwm-freeze',
  SESSION_CHANGED: 'x-cwm-session',
}

/** The error as the client of a proxied request can read it: `param` is the header that named the window or the session. */
export function withHeaderParam(error: CwmError): CwmError {
  const { code, message, param, cause } = error
  const header = param === 'name' || param === 'session_id' ? headerOfError[code] : undefined
  return header === undefined ? error : new CwmError(code, message, { param: header, cause })
}

/** What the client asks of cwm on this request. */
export interface ControlHeaders {
  readonly session?: string
  /** Window to thaw into the session. */
  readonly window?: string
  /** Name to freeze the session under when the answer is out. */
  readonly freeze?: string
  /** What is done if this turn does not fit the context. */
  readonly overflow?: Overflow
}

/** Header names that cwm understands; any other x-cwm-* is a misspelling, and silence would lose what was meant. */
const known = new Set(['x-cwm-session', 'x-cwm-window', 'x-cwm-freeze', 'x-cwm-overflow'])

/** Throws `INVALID_HEADER` for names of the wrong form, unknown `x-cwm-*` headers, and a path that says otherwise. */
export function readControlHeaders(
  headers: IncomingHttpHeaders,
  fromPath: { readonly session?: string; readonly window?: string },
): ControlHeaders {
  for (const name in headers) {
    if (name.startsWith('x-cwm-') && !known.has(name)) {
      throw new CwmError('INVALID_HEADER', `${name} is not known; there are ${[...known].join(', ')}`, { param: name })
    }
  }
  const session = readOnce('x-cwm-session', headers['x-cwm-session'], fromPath.session)
  const window = readOnce('x-cwm-window', headers['x-cwm-window'], fromPath.window)
  const freeze = readOnce('x-cwm-freeze', headers['x-cwm-freeze'], undefined)
  const overflow = readOverflow(headers['x-cwm-overflow'])
  if (session !== undefined && !isSessionId(session)) throw badName('x-cwm-session', sessionIdRule)
  if (window !== undefined && !isWindowName(window)) throw badName('x-cwm-window', windowNameRule)
  if (freeze !== undefined) checkNewName('x-cwm-freeze', freeze)
  return {
    ...(session === undefined ? {} : { session }),
    ...(window === undefined ? {} : { window }),
    ...(freeze === undefined ? {} : { freeze }),
    ...(overflow === undefined ? {} : { overflow }),
  }
}

function readOverflow(value: string | string[] | undefined): Overflow | undefined {
  const asked = readOnce('x-cwm-overflow', value, undefined)
  const policy = overflowPolicies.find((name) => name === asked)
  if (asked === undefined || policy !== undefined) return policy
  throw new CwmError('INVALID_HEADER', `x-cwm-overflow must be one of ${overflowPolicies.join(', ')}`, {
    param: 'x-cwm-overflow',
  })
}

/**
 * Throws `FORBIDDEN_HOST` for a page of another origin that names a session or a window without a key: those without a key are one tenant,
 * so the page would get at what the user of this machine keeps there. A page that has a key was given it.
 */
export function checkPage(request: Pick<IncomingMessage, 'headers' | 'rawHeaders'>, control: ControlHeaders): void {
  const { session, window, freeze } = control
  const names = session ?? window ?? freeze
  if (names === undefined || !isForeignPage(request.headers) || readApiKey(request) !== undefined) return
  throw new CwmError(
    'FORBIDDEN_HOST',
    'a page of another origin may name sessions and windows only with an API key; any text will do where no keys are set',
    { param: 'origin' },
  )
}

function checkNewName(param: string, name: string): void {
  if (!isWindowName(name)) throw badName(param, windowNameRule)
  if (isReservedName(name)) {
    throw new CwmError('INVALID_HEADER', 'names that begin with "auto." are given by cwm itself', { param })
  }
}

function badName(param: string, rule: string): CwmError {
  return new CwmError('INVALID_HEADER', `${param} must be ${rule}`, { param })
}

function readOnce(name: string, header: string | string[] | undefined, path: string | undefined): string | undefined {
  if (Array.isArray(header)) throw new CwmError('INVALID_HEADER', `${name} is there twice`, { param: name })
  if (header !== undefined && path !== undefined && header !== path) {
    throw new CwmError('INVALID_HEADER', `${name} says otherwise than the path; send one of them`, { param: name })
  }
  return header ?? path
}

/** `used/limit` in tokens of the last finished turn; undefined before one, or when the upstream does not tell its limit. */
export function contextHeader({ usage, limit }: SessionRecord): string | undefined {
  return usage === undefined || limit === undefined ? undefined : `${usage.contextTokens ?? usage.totalTokens}/${limit}`
}

/**
 * Throws `NOT_SUPPORTED` for a window where a request does not hold the whole conversation: completions have no messages, and what came
 * before a continuation is the engine's, so that nothing can be put before it and no window could hold it.
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
