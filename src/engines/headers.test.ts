// Headers in both directions: which are removed, forwarded, and added.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { credentialHeaders, readCredentials } from '../base/auth.ts'
import { CwmError } from '../base/errors.ts'
import { type IncomingOptions, incomingHeaders, type OutgoingOptions, outgoingHeaders } from './headers.ts'
import { withAffinity, withoutAffinity } from './router-headers.ts'

const plain: OutgoingOptions = {
  preserveHost: false,
  apiKey: undefined,
  identity: false,
  ownLength: false,
  clientAddress: undefined,
  clientProtocol: 'http',
  allowed: new Set(),
  rule: withoutAffinity,
  ownNames: new Set(),
}
const proto = ['x-forwarded-proto', 'http']

function out(raw: readonly string[], options: Partial<OutgoingOptions> = {}): string[] {
  return outgoingHeaders(raw, { ...plain, ...options })
}

/** As pairs, without the protocol header, which is always sent. */
function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return list
}

describe('the headers that identify a caller', () => {
  // Separate lists for reading and forwarding would drift apart. A credential could then be forwarded without identifying anyone.
  const names = [...credentialHeaders, 'X-Auth-Token', 'Cookie', 'X-Other-Key', 'x-goog-api-key']

  it.each(names)('is exactly what is taken out where the upstream has a key of its own: %s', (name) => {
    const raw = [name, 'a-key']
    const isRead = readCredentials({ rawHeaders: raw }).key !== undefined

    expect(out(raw, { apiKey: null }).includes(name)).toBe(!isRead)
    expect(out(raw, { apiKey: 'own' }).includes('a-key')).toBe(!isRead)
    expect(out(raw).includes(name)).toBe(true)
  })
})

describe('outgoing headers', () => {
  it('are the incoming ones, with their spelling and duplicates', () => {
    expect(out(['Accept', 'a', 'X-Custom', '1', 'x-custom', '2'])).toEqual([
      'Accept',
      'a',
      'X-Custom',
      '1',
      'x-custom',
      '2',
      ...proto,
    ])
  })

  it.each([
    'Connection',
    'Proxy-Connection',
    'Keep-Alive',
    'Proxy-Authenticate',
    'Proxy-Authorization',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Expect',
    'X-Cwm-Session',
    'x-cwm-anything',
  ])('leave %s out', (name) => {
    expect(out([name, 'v', 'a', 'b'])).toEqual(['a', 'b', ...proto])
  })

  it('exclude what any Connection header names, in any case', () => {
    const raw = ['X-Hop', '1', 'connection', 'close, x-HOP', 'Connection', ' x-Two ,', 'x-two', '2', 'x-stays', '3']

    expect(out(raw)).toEqual(['x-stays', '3', ...proto])
  })

  it('keep what cwm adds, even if Connection names it', () => {
    const raw = [
      'connection',
      'authorization, x-forwarded-for, accept-encoding, host',
      'host',
      'h',
      'x-forwarded-for',
      '9.9.9.9',
    ]

    expect(out(raw, { apiKey: 'k', identity: true, clientAddress: '10.0.0.1' })).toEqual([
      'accept-encoding',
      'identity',
      'authorization',
      'Bearer k',
      'x-forwarded-for',
      '10.0.0.1',
      ...proto,
    ])
  })

  it("keep the client's Host only if configured, and always report it", () => {
    expect(out(['Host', 'cwm.example'])).toEqual(['x-forwarded-host', 'cwm.example', ...proto])
    expect(out(['Host', 'cwm.example'], { preserveHost: true })).toEqual([
      'host',
      'cwm.example',
      'x-forwarded-host',
      'cwm.example',
      ...proto,
    ])
  })

  it('append the client to the addresses from closer proxies, and keep the host and protocol that those report', () => {
    const raw = [
      'x-forwarded-for',
      '1.1.1.1',
      'X-Forwarded-For',
      '2.2.2.2',
      'X-Forwarded-Proto',
      'https',
      'x-forwarded-host',
      'app',
      'host',
      'h',
    ]

    expect(out(raw, { clientAddress: '3.3.3.3' })).toEqual([
      'X-Forwarded-Proto',
      'https',
      'x-forwarded-host',
      'app',
      'x-forwarded-for',
      '1.1.1.1, 2.2.2.2, 3.3.3.3',
    ])
  })

  it("contain cwm's key instead of the client's, in the form that the client used", () => {
    expect(out(['Authorization', 'Bearer client', 'a', 'b'], { apiKey: 'k' })).toEqual([
      'a',
      'b',
      'authorization',
      'Bearer k',
      ...proto,
    ])
    expect(out(['X-Api-Key', 'client'], { apiKey: 'k' })).toEqual([
      'authorization',
      'Bearer k',
      'x-api-key',
      'k',
      ...proto,
    ])
    expect(out([], { apiKey: 'k' })).toEqual(['authorization', 'Bearer k', ...proto])
  })

  it("contain the client's key if cwm has none", () => {
    expect(out(['authorization', 'Bearer client', 'x-api-key', 'client'])).toEqual([
      'authorization',
      'Bearer client',
      'x-api-key',
      'client',
      ...proto,
    ])
  })

  it('have no length or encoding if the body was read and changed', () => {
    const raw = ['Content-Length', '5', 'content-encoding', 'gzip', 'Content-Type', 'application/json']

    expect(out(raw, { ownLength: true })).toEqual(['Content-Type', 'application/json', ...proto])
    expect(out(raw)).toEqual([...raw, ...proto])
  })

  it('request an uncompressed answer if cwm must read it', () => {
    expect(out(['Accept-Encoding', 'gzip, br'], { identity: true })).toEqual(['accept-encoding', 'identity', ...proto])
    expect(out(['Accept-Encoding', 'gzip, br'])).toEqual(['Accept-Encoding', 'gzip, br', ...proto])
  })

  it.each(['X-Data-Parallel-Rank', 'x-vllm-priority', 'X-VLLM-PRIORITY'])(
    'refuse %s, which steers the engine',
    (name) => {
      for (const raw of [
        [name, '0'],
        ['connection', name, name, '0'],
      ]) {
        try {
          out(raw)
          expect.unreachable()
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(CwmError)
          expect(thrown).toMatchObject({ code: 'FORBIDDEN_HEADER', param: name.toLowerCase() })
        }
      }
      expect(out([name, '0'], { allowed: new Set([name.toLowerCase()]) })).toEqual([name, '0', ...proto])
    },
  )

  it('lose what steers a router, and with an affinity header what names a session', () => {
    const raw = ['X-Smg-Target-Worker', '1', 'X-Session-Id', 's', 'X-User-Id', 'u', 'X-Request-Id', 'r']
    const own = new Set(['x-session-id'])

    expect(out(raw)).toEqual([...raw.slice(2), ...proto])
    expect(out(raw, { rule: withAffinity(own), ownNames: own })).toEqual(['X-Request-Id', 'r', ...proto])
  })

  it('keep what the operator allows, except what cwm sets itself', () => {
    const raw = ['X-Smg-Target-Worker', '1', 'X-Session-Id', 's', 'Thread-Id', 't']
    const own = new Set(['x-session-id'])
    const allowed = new Set(['x-smg-target-worker', 'x-session-id', 'thread-id'])

    expect(out(raw, { rule: withAffinity(own), ownNames: own, allowed })).toEqual([
      'X-Smg-Target-Worker',
      '1',
      'Thread-Id',
      't',
      ...proto,
    ])
  })

  it('do not change the incoming request', () => {
    const raw = Object.freeze(['Host', 'h', 'Connection', 'x', 'X', '1'])

    expect(() => out(raw, { apiKey: 'k', identity: true, ownLength: true })).not.toThrow()
  })

  it('contain no hop-by-hop and no cwm headers, for any request', () => {
    const name = fc.constantFrom(
      'Connection',
      'X-Cwm-Freeze',
      'TE',
      'x-a',
      'X-B',
      'Host',
      'Authorization',
      'x-forwarded-for',
      'Upgrade',
    )
    const value = fc.constantFrom('x-a', 'close', 'X-B, te', 'v', '', ',,', 'host')
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), fc.boolean(), (sent, withKey) => {
        const named = sent
          .filter(([n]) => n === 'Connection')
          .flatMap(([, v]) => v.split(',').map((n) => n.trim().toLowerCase()))

        const got = pairs(out(sent.flat(), { apiKey: withKey ? 'k' : undefined, clientAddress: '10.0.0.1' }))

        const names = got.map(([n]) => n.toLowerCase())
        for (const n of ['connection', 'te', 'upgrade', 'x-cwm-freeze']) expect(names).not.toContain(n)
        for (const n of named.filter((n) => n === 'x-a' || n === 'x-b')) expect(names).not.toContain(n)
        if (withKey)
          expect(got.filter(([n]) => n.toLowerCase() === 'authorization')).toEqual([['authorization', 'Bearer k']])
        expect(names.filter((n) => n === 'x-forwarded-for')).toHaveLength(1)
        expect(got.find(([n]) => n === 'x-forwarded-for')?.[1].endsWith('10.0.0.1')).toBe(true)
      }),
      { numRuns: 1000, seed: 1 },
    )
  })
})

describe('headers of the answer', () => {
  const options: IncomingOptions = {
    upstreamOrigin: 'http://engine:8000',
    clientOrigin: 'http://cwm.example',
    exposed: 'x-cwm-session',
  }
  const back = (flat: readonly string[], changed: Partial<IncomingOptions> = {}) =>
    incomingHeaders(
      flat.map((part) => Buffer.from(part, 'latin1')),
      { ...options, ...changed },
    )

  it('are those of the upstream, with duplicates, order and non-ASCII bytes', () => {
    const raw = ['Set-Cookie', 'a=1', 'X', '\u00e9\u00ff', 'set-cookie', 'b=2']

    expect(back(raw)).toEqual(raw)
  })

  it('exclude hop-by-hop headers, those that Connection names, and x-cwm-* headers', () => {
    const raw = [
      'Connection',
      'X-Hop',
      'x-hop',
      '1',
      'Transfer-Encoding',
      'chunked',
      'Keep-Alive',
      'timeout=5',
      'X-CWM-Session',
      'forged',
      'a',
      'b',
    ]

    expect(back(raw)).toEqual(['a', 'b'])
  })

  it.each([
    ['http://engine:8000/docs?a=1#b', 'http://cwm.example/docs?a=1#b'],
    ['HTTP://ENGINE:8000/docs', 'http://cwm.example/docs'],
    ['http://engine:8000', 'http://cwm.example'],
    ['http://engine:8000?x', 'http://cwm.example?x'],
    ['/docs', '/docs'],
    ['docs', 'docs'],
    ['http://engine:80001/docs', 'http://engine:80001/docs'],
    ['http://engine:8000.evil.example/', 'http://engine:8000.evil.example/'],
    ['http://engine:8000@evil.example/', 'http://engine:8000@evil.example/'],
    ['https://elsewhere/', 'https://elsewhere/'],
  ])('rewrite the location %s to %s', (location, wanted) => {
    expect(back(['Location', location])).toEqual(['Location', wanted])
  })

  it('recognize the upstream in a location with the default port', () => {
    expect(back(['location', 'http://engine:80/docs'], { upstreamOrigin: 'http://engine' })).toEqual([
      'location',
      'http://cwm.example/docs',
    ])
  })

  it('keep a location unchanged if the client sent no host', () => {
    expect(back(['location', 'http://engine:8000/x'], { clientOrigin: undefined })).toEqual([
      'location',
      'http://engine:8000/x',
    ])
  })

  it.each([
    [
      ['Access-Control-Allow-Origin', '*'],
      ['Access-Control-Allow-Origin', '*', 'access-control-expose-headers', 'x-cwm-session'],
    ],
    [
      ['Access-Control-Expose-Headers', 'x-a'],
      ['Access-Control-Expose-Headers', 'x-a, x-cwm-session'],
    ],
    [
      ['access-control-expose-headers', '*'],
      ['access-control-expose-headers', '*'],
    ],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
  ])("with %j let browsers read cwm's: %j", (raw, wanted) => {
    expect(back(raw)).toEqual(wanted)
  })
})
