// Builds the headers of the request to the upstream and of the answer to the client. Hop-by-hop headers are removed first, and cwm's own
// are added last.

import { credentialHeaders } from '../base/auth.ts'
import { CwmError } from '../base/errors.ts'
import { type HeaderRule, namesWorker } from './router-headers.ts'

// RFC 9110, 7.6.1, and the older names that other proxies remove too (golang/go net/http/httputil).
const hopByHop = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** The headers that identify the caller. No others are forwarded as credentials. */
const credentials: ReadonlySet<string> = new Set(credentialHeaders)

const nothing: ReadonlySet<string> = new Set()

/** Headers that `Connection` names are hop-by-hop too. `lower`: the names in lower case. */
function namedByConnection(lower: readonly string[], valueAt: (i: number) => string): ReadonlySet<string> {
  let names: Set<string> | undefined
  for (let i = lower.indexOf('connection'); i !== -1; i = lower.indexOf('connection', i + 1)) {
    const value = valueAt(i)
    if (value === 'keep-alive' || value === 'close') continue
    names ??= new Set()
    for (const name of value.split(',')) names.add(name.trim().toLowerCase())
  }
  return names ?? nothing
}

export interface OutgoingOptions {
  /** Whether to forward the client's `Host` instead of sending the upstream's own. */
  readonly preserveHost: boolean
  /** Replaces the client's credentials. Null: they are removed. Undefined: they are forwarded. */
  readonly apiKey: string | null | undefined
  /** Whether the answer must be uncompressed, because cwm reads it. */
  readonly identity: boolean
  /** Whether the body was read and is sent with a new length. */
  readonly ownLength: boolean
  readonly clientAddress: string | undefined
  readonly clientProtocol: 'http' | 'https'
  /** Headers that tenants may send although they bypass the gateway, lower case. */
  readonly allowed: ReadonlySet<string>
  /** What cwm does with headers that steer routers and engines. */
  readonly rule: HeaderRule
  /** Headers that cwm sets itself later, lower case. The client's are removed even if it may send them. */
  readonly ownNames: ReadonlySet<string>
}

/**
 * The headers of the outgoing request, as a flat list for undici. Does not change the incoming headers. Throws `FORBIDDEN_HEADER` for
 * headers that bypass the gateway.
 */
export function outgoingHeaders(rawHeaders: readonly string[], options: OutgoingOptions): string[] {
  const names: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) names.push((rawHeaders[i] ?? '').toLowerCase())
  const named = namedByConnection(names, (i) => rawHeaders[2 * i + 1] ?? '')
  const outgoing = new Outgoing(options)
  for (let i = 0; i < names.length; i++) {
    const lower = names[i] ?? ''
    if (isDropped(lower, options)) continue
    if (hopByHop.has(lower) || named.has(lower) || lower.startsWith('x-cwm-')) continue
    outgoing.take(lower, rawHeaders[2 * i] ?? '', rawHeaders[2 * i + 1] ?? '')
  }
  return outgoing.finish()
}

/** Whether a header is not forwarded, because a router or the engine would act on it. Throws `FORBIDDEN_HEADER`. */
function isDropped(lower: string, { rule, allowed, ownNames }: OutgoingOptions): boolean {
  const treatment = rule(lower)
  if (treatment === undefined) return false
  if (allowed.has(lower)) return ownNames.has(lower)
  if (treatment === 'removed') return true
  throw new CwmError('FORBIDDEN_HEADER', `the header ${lower} bypasses the gateway and is not allowed; remove it`, {
    param: lower,
  })
}

/** Collects the outgoing headers. */
class Outgoing {
  readonly #options: OutgoingOptions
  readonly #out: string[] = []
  #forwardedFor: string | undefined
  #host: string | undefined
  #usesAnthropicKey = false
  // A proxy closer to the client may already have sent these. It saw the client, so its values are kept.
  #hasHost = false
  #hasProtocol = false

  constructor(options: OutgoingOptions) {
    this.#options = options
  }

  /** Adds a header of the client, unless cwm sends its own instead. */
  take(lower: string, name: string, value: string): void {
    const { apiKey, identity, ownLength } = this.#options
    switch (lower) {
      case 'expect':
        return
      case 'host':
        this.#host = value
        return
      case 'x-forwarded-for':
        this.#forwardedFor = joined(this.#forwardedFor, value)
        return
      case 'content-length':
      case 'content-encoding':
        if (ownLength) return
        break
      case 'accept-encoding':
        if (identity) return
        break
      case 'x-forwarded-host':
        this.#hasHost = true
        break
      case 'x-forwarded-proto':
        this.#hasProtocol = true
        break
      case 'x-api-key':
        this.#usesAnthropicKey = true
        break
    }
    if (apiKey === undefined || !credentials.has(lower)) this.#out.push(name, value)
  }

  /** Adds cwm's own headers, and returns all of them. */
  finish(): string[] {
    const { preserveHost, identity, apiKey, clientAddress, clientProtocol } = this.#options
    const out = this.#out
    const host = this.#host
    if (preserveHost && host !== undefined) out.push('host', host)
    if (identity) out.push('accept-encoding', 'identity')
    if (apiKey !== undefined && apiKey !== null) {
      out.push('authorization', `Bearer ${apiKey}`)
      if (this.#usesAnthropicKey) out.push('x-api-key', apiKey)
    }
    const forwardedFor = clientAddress === undefined ? this.#forwardedFor : joined(this.#forwardedFor, clientAddress)
    if (forwardedFor !== undefined) out.push('x-forwarded-for', forwardedFor)
    if (host !== undefined && !this.#hasHost) out.push('x-forwarded-host', host)
    if (!this.#hasProtocol) out.push('x-forwarded-proto', clientProtocol)
    return out
  }
}

function joined(list: string | undefined, value: string): string {
  return list === undefined ? value : `${list}, ${value}`
}

export interface IncomingOptions {
  /** The upstream's origin and the client's, to rewrite redirects to the address that the client uses. */
  readonly upstreamOrigin: string
  readonly clientOrigin: string | undefined
  /** Names of cwm's own headers that browsers may read. */
  readonly exposed: string
}

/**
 * The headers of the answer, as a flat list for Node. Drops `x-cwm-*` headers of the upstream, because only cwm may send them, and headers
 * in which routers name a worker.
 */
export function incomingHeaders(raw: readonly Buffer[], options: IncomingOptions): string[] {
  const names: string[] = []
  const lowers: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = textAt(raw, i)
    names.push(name)
    lowers.push(name.toLowerCase())
  }
  const named = namedByConnection(lowers, (i) => textAt(raw, 2 * i + 1))
  const out: string[] = []
  let crossOrigin = false
  let exposes = false
  for (const [i, lower] of lowers.entries()) {
    const name = names[i] ?? ''
    let value = textAt(raw, 2 * i + 1)
    if (hopByHop.has(lower) || named.has(lower) || lower.startsWith('x-cwm-') || namesWorker(lower)) continue
    if (lower === 'location') value = ownLocation(value, options)
    if (lower === 'access-control-allow-origin') crossOrigin = true
    if (lower === 'access-control-expose-headers') {
      exposes = true
      if (value.trim() !== '*') value = `${value}, ${options.exposed}`
    }
    out.push(name, value)
  }
  if (crossOrigin && !exposes) out.push('access-control-expose-headers', options.exposed)
  return out
}

function textAt(raw: readonly Buffer[], i: number): string {
  return raw[i]?.toString('latin1') ?? ''
}

function ownLocation(location: string, { upstreamOrigin, clientOrigin }: IncomingOptions): string {
  // Parsed, not compared as text: the upstream may write out the default port of its scheme.
  const [, origin, rest = ''] = /^(https?:\/\/[^/?#\\@]+)([/?#].*)?$/i.exec(location) ?? []
  if (clientOrigin === undefined || origin === undefined || !URL.canParse(origin)) return location
  return new URL(origin).origin === upstreamOrigin ? clientOrigin + rest : location
}
