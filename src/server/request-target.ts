// Determines the host and path of a request. Turns the absolute form of a target (RFC 9112, 3.2.2) into a path here, so that all later code
// sees one form.

import type { IncomingMessage } from 'node:http'
import { CwmError } from '../base/errors.ts'
import { replaceHeader } from '../base/flat-headers.ts'

/** Longest host shown in an error, characters. */
const MAX_SHOWN = 100
const ABSOLUTE = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i
/** A host name or address, with or without a port. A user before it is an error (RFC 9110, 4.2.4). */
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(:\d*)?$/i

/**
 * Checks the host of a request, and rewrites an absolute target to a path and the `Host` header to its authority. Returns
 * `INVALID_HTTP` if an HTTP/1.1 request has no Host header or any request has two, `INVALID_PATH` for an absolute target that cannot be
 * parsed, `MISDIRECTED_REQUEST` for one with another scheme, `FORBIDDEN_HOST` for a name not in `allowed` (undefined allows all).
 */
export function checkTarget(request: IncomingMessage, allowed: ReadonlySet<string> | undefined): CwmError | undefined {
  const { headers, httpVersion, url = '' } = request
  // HTTP/1.0 has no Host. No browser sends that version, so no page can hide a foreign name in it.
  if (headers.host === undefined && httpVersion !== '1.0') {
    return new CwmError('INVALID_HTTP', 'the Host header is missing; HTTP/1.1 requires it', { param: 'host' })
  }
  // RFC 9112, 3.2. Node uses the first one, and the last one might be forwarded to the engine.
  if (hasTwoHosts(request))
    return new CwmError('INVALID_HTTP', 'there are two Host headers; send one', { param: 'host' })
  const unreadable = url.startsWith('/') ? undefined : takeAuthority(request, url)
  if (unreadable !== undefined) return unreadable
  const { host } = headers
  if (allowed === undefined || host === undefined || allowed.has(hostName(host))) return undefined
  return new CwmError(
    'FORBIDDEN_HOST',
    `the host ${hostName(host).slice(0, MAX_SHOWN)} is not allowed; the operator can add it to the setting allowed_hosts`,
    { param: 'host' },
  )
}

function hasTwoHosts({ rawHeaders }: IncomingMessage): boolean {
  let seen = false
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length !== 4 || name.toLowerCase() !== 'host') continue
    if (seen) return true
    seen = true
  }
  return false
}

/** Writes the authority of an absolute target into the Host header, which it overrides, and the path into `url`. */
function takeAuthority(request: IncomingMessage, url: string): CwmError | undefined {
  const [, scheme, authority = '', rest = ''] = ABSOLUTE.exec(url) ?? []
  // Not an absolute target: the code that matches paths rejects it.
  if (scheme === undefined) return undefined
  if (scheme.toLowerCase() !== 'http') {
    // RFC 9110, 7.4: an https target must be rejected if the connection is not secured for its host.
    const message = 'cwm accepts only http:// request targets; send only the path, or use http://'
    return new CwmError('MISDIRECTED_REQUEST', message, { param: 'path' })
  }
  if (!AUTHORITY.test(authority)) {
    const message = 'the host in the request target is not valid; send http://host:port/path, or only the path'
    return new CwmError('INVALID_PATH', message, { param: 'path' })
  }
  request.url = rest.startsWith('/') ? rest : `/${rest}`
  request.headers.host = authority
  replaceHeader(request.rawHeaders, 'host', authority)
  return undefined
}

function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '')
}
