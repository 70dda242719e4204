// Which headers go on to the upstream, and which come back. Hop-by-hop headers are taken out first, our own go in last.

import { CwmError } from '../base/errors.ts'

// RFC 9110, 7.6.1, and the older names that proxies strip as well (golang/go net/http/httputil).
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

/**
 * Request headers by which vLLM 0.32 lets a router steer the engine (entrypoints/generate/base/serving.py reads
 * `X-data-parallel-rank`, and `X-Vllm-Priority` before the body's own `priority`). Tenants may not.
 */
const steering = ['x-data-parallel-rank', 'x-vllm-priority']

/** By which clients send a key: OpenAI's, Anthropic's and Azure's way. */
const credentials = ['authorization', 'x-api-key', 'api-key']

/** Headers that `Connection` names are hop-by-hop too. */
function connectionNames(rawHeaders: readonly string[]): Set<string> {
  const names = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'connection') continue
    for (const name of (rawHeaders[i + 1] ?? '').split(',')) names.add(name.trim().toLowerCase())
  }
  return names
}

export interface OutgoingOptions {
  /** The client's `Host` goes on; otherwise the upstream's own. */
  readonly preserveHost: boolean
  /** Replaces the client's credentials; null: they are taken out; undefined: they go on. */
  readonly apiKey: string | null | undefined
  /** The answer must come uncompressed, because cwm reads it. */
  readonly identity: boolean
  /** The body was read and goes out with a length of its own. */
  readonly ownLength: boolean
  readonly clientAddress: string | undefined
  readonly clientProtocol: 'http' | 'https'
  /** Fields that tenants may set although they reach below the gateway, lower case. */
  readonly allowed: ReadonlySet<string>
}

/**
 * The headers of the request that goes out, flat as undici takes them. The request that came in is left as it is.
 * Throws `FORBIDDEN_HEADER` for headers that reach below the gateway.
 */
export function outgoingHeaders(rawHeaders: readonly string[], options: OutgoingOptions): string[] {
  const named = connectionNames(rawHeaders)
  const out: string[] = []
  const forwardedFor: string[] = []
  let host: string | undefined
  let usesAnthropicKey = false
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    const lower = name.toLowerCase()
    if (steering.includes(lower) && !options.allowed.has(lower)) {
      throw new CwmError('FORBIDDEN_HEADER', `${lower} reaches below the gateway; leave it out`, { param: lower })
    }
    if (hopByHop.has(lower) || named.has(lower) || lower.startsWith('x-cwm-') || lower === 'expect') continue
    if (lower === 'host') {
      host = value
      continue
    }
    if (lower === 'x-forwarded-for') {
      forwardedFor.push(value)
      continue
    }
    if (lower === 'content-length' && options.ownLength) continue
    if (lower === 'content-encoding' && options.ownLength) continue
    if (lower === 'accept-encoding' && options.identity) continue
    if (lower === 'x-api-key') usesAnthropicKey = true
    if (options.apiKey !== undefined && credentials.includes(lower)) continue
    out.push(name, value)
  }
  if (options.preserveHost && host !== undefined) out.push('host', host)
  if (options.identity) out.push('accept-encoding', 'identity')
  if (options.apiKey !== undefined && options.apiKey !== null) {
    out.push('authorization', `Bearer ${options.apiKey}`)
    if (usesAnthropicKey) out.push('x-api-key', options.apiKey)
  }
  if (options.clientAddress !== undefined) forwardedFor.push(options.clientAddress)
  if (forwardedFor.length > 0) out.push('x-forwarded-for', forwardedFor.join(', '))
  if (host !== undefined) setDefault(out, 'x-forwarded-host', host)
  setDefault(out, 'x-forwarded-proto', options.clientProtocol)
  return out
}

/** A nearer proxy may have said it already: it saw the client, we did not. */
function setDefault(headers: string[], name: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]?.toLowerCase() === name) return
  headers.push(name, value)
}

export interface IncomingOptions {
  /** The upstream's origin and the client's, to turn redirects back to where the client is. */
  readonly upstreamOrigin: string
  readonly clientOrigin: string | undefined
  /** Names of our own headers that browsers may read. */
  readonly exposed: string
}

/** The headers of the answer, flat as Node takes them. `x-cwm-*` from an upstream are dropped: only we speak under that name. */
export function incomingHeaders(raw: readonly Buffer[], options: IncomingOptions): string[] {
  const text = raw.map((part) => part.toString('latin1'))
  const named = connectionNames(text)
  const out: string[] = []
  let crossOrigin = false
  let exposes = false
  for (let i = 0; i + 1 < text.length; i += 2) {
    const name = text[i] ?? ''
    let value = text[i + 1] ?? ''
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) || named.has(lower) || lower.startsWith('x-cwm-')) continue
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

function ownLocation(location: string, { upstreamOrigin, clientOrigin }: IncomingOptions): string {
  // Parsed, not compared: the upstream may spell out the default port of its scheme.
  const [, origin, rest = ''] = /^(https?:\/\/[^/?#\\@]+)([/?#].*)?$/i.exec(location) ?? []
  if (clientOrigin === undefined || origin === undefined || !URL.canParse(origin)) return location
  return new URL(origin).origin === upstreamOrigin ? clientOrigin + rest : location
}
