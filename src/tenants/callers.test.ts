// Who sends a request: identified by key alone, by a list of tenants, or as the operator.

import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { credentialHeaders, keyHash } from '../base/auth.ts'
import { CwmError } from '../base/errors.ts'
import type { Caller, TenantPolicy } from '../base/tenants.ts'
import { type CallerParts, Callers } from './callers.ts'
import { ClientAddresses } from './client-addresses.ts'
import { KeyDeriver } from './salt.ts'
import { type TenantEntry, Tenants } from './tenants.ts'

const operatorKey = 'operator-key-0123456789'
const deriver = new KeyDeriver(Buffer.from('0123456789abcdef0123456789abcdef'))
const policy: TenantPolicy = {
  allowedFields: new Set(),
  isolation: 'session',
  whenPinsFull: 'reject',
  kvQuotaGb: 8,
  nearLimit: {
    overflow: 'pass',
    freezeAt: 0.75,
    rolloverTo: 0.5,
    keepFirst: 0,
    rolloverNote: false,
    maxAutoPerSession: 8,
    maxAutoWindows: 1000,
  },
}

interface Setup {
  readonly listed?: readonly TenantEntry[]
  readonly operatorKey?: string
  readonly upstreamApiKey?: string
}

const noStoredKeys: CallerParts['stored'] = {
  byHash: () => undefined,
  lookUp: () => undefined,
  markUsed: () => {},
  nextExpiry: () => undefined,
  onChange: () => {},
  requireTrust: () => {},
}

/** Identifies at once: none of these keys is looked up. */
class CallersAtOnce extends Callers {
  override identify(request: IncomingMessage): Caller {
    const caller = super.identify(request)
    if (caller instanceof Promise) throw new Error('looks a key up')
    return caller
  }
}

function callersOf({ listed, operatorKey, upstreamApiKey }: Setup = {}): CallersAtOnce {
  const addresses = new ClientAddresses({ trustedProxies: [], exempt: ['127.0.0.0/8'] })
  const tenants = new Tenants(policy, listed)
  const parts = { deriver, tenants, stored: noStoredKeys, addresses, now: Date.now }
  return new CallersAtOnce(parts, { operatorKey, upstreamApiKey })
}

function request(headers: Record<string, string>, remoteAddress = '127.0.0.1'): IncomingMessage {
  const rawHeaders = Object.entries(headers).flat()
  return { headers, rawHeaders, socket: { remoteAddress } } as unknown as IncomingMessage
}

const bearer = (key: string, more: Record<string, string> = {}) => request({ authorization: `Bearer ${key}`, ...more })

function refused(run: () => unknown): string {
  try {
    run()
    return ''
  } catch (thrown) {
    return thrown instanceof CwmError ? `${thrown.code} ${thrown.param}` : 'another error'
  }
}

describe('shares', () => {
  const from = (address: string, key: string) => request({ authorization: `Bearer ${key}` }, address)

  it('count by address where no tenants are listed, whatever the keys, and for REST alike', () => {
    const callers = callersOf()

    const sharers = ['sk-1', 'sk-2'].map((key) => callers.identify(from('192.0.2.1', key)).sharer)

    expect(sharers).toEqual(['ip:192.0.2.1', 'ip:192.0.2.1'])
    expect(callers.identify(request({}, '192.0.2.1')).sharer).toBe('ip:192.0.2.1')
    expect(callers.forRest(from('192.0.2.1', 'sk-3')).sharer).toBe('ip:192.0.2.1')
  })

  it('of subscriptions count alike, but not those of the operator', () => {
    const callers = callersOf({ operatorKey })

    expect(callers.sharerInView(from('192.0.2.1', 'sk-1'))).toBe('ip:192.0.2.1')
    expect(callers.sharerInView(from('192.0.2.1', operatorKey))).toBeUndefined()
    expect(callers.sharerInView(from('127.0.0.1', 'sk-1'))).toBeUndefined()
  })

  it('make one caller per connection and key', () => {
    const callers = callersOf()
    const first = from('192.0.2.1', 'sk-1')

    expect(callers.identify(first)).toBe(callers.identify(first))
    expect(callers.identify(from('192.0.2.2', 'sk-1')).sharer).toBe('ip:192.0.2.2')
  })

  it('count by tenant from loopback, and wherever tenants are listed', () => {
    const listed = [{ id: 'acme', keys: [{ name: 'k', sha256: keyHash('sk-acme') }], policy }]

    expect(callersOf().identify(bearer('sk-1')).sharer).toBe(deriver.tenant('sk-1'))
    expect(callersOf({ listed }).identify(from('192.0.2.1', 'sk-acme')).sharer).toBe('acme')
  })
})

describe('without listed tenants', () => {
  it('each key is one tenant, whichever header it comes in, and no key is another tenant', () => {
    const callers = callersOf({ operatorKey })
    const caller = callers.identify(bearer('sk-1'))

    expect(callers.identify(request({ 'x-api-key': 'sk-1' }))).toEqual(caller)
    expect(callers.identify(request({ 'x-api-key': 'sk-1', authorization: 'bearer   sk-1 ' }))).toEqual(caller)
    const tenant = deriver.tenant('sk-1')
    expect(caller).toEqual({ tenant, sharer: tenant, actor: 'key', apiKey: 'sk-1', operator: false, policy })
    expect(callers.identify(request({}))).toMatchObject({ tenant: 'anonymous', apiKey: undefined })
  })

  it("the upstream's own key replaces the client's", () => {
    expect(callersOf({ upstreamApiKey: 'engine' }).identify(bearer('sk-1')).apiKey).toBe('engine')
  })

  it('other kinds of credentials do not count as none', () => {
    const tenants = ['Basic dTpw', 'Basic dTpx'].map(
      (it) => callersOf().identify(request({ authorization: it })).tenant,
    )

    expect(new Set([...tenants, 'anonymous']).size).toBe(3)
  })

  it.each<[string, string[], string]>([
    ['Bearer and x-api-key', ['Authorization', 'Bearer a', 'X-Api-Key', 'b'], 'x-api-key'],
    ['x-api-key and api-key', ['x-api-key', 'a', 'api-key', 'b'], 'api-key'],
    ['api-key and Bearer', ['api-key', 'a', 'authorization', 'Bearer b'], 'authorization'],
    ['three of them', ['authorization', 'Bearer a', 'x-api-key', 'a', 'api-key', 'b'], 'api-key'],
    ['Bearer twice', ['Authorization', 'Bearer a', 'authorization', 'Bearer b'], 'authorization'],
    ['x-api-key twice, the same', ['x-api-key', 'a', 'X-API-KEY', 'a'], 'x-api-key'],
    ['api-key twice', ['api-key', 'a', 'API-Key', ''], 'api-key'],
  ])('%s are rejected', (_, rawHeaders, param) => {
    const sent = { ...request({}), rawHeaders } as unknown as IncomingMessage

    expect(refused(() => callersOf().identify(sent))).toBe(`INVALID_HEADER ${param}`)
    expect(refused(() => callersOf().forRest(sent))).toBe(`INVALID_HEADER ${param}`)
  })

  it.each<[string, Record<string, string>]>([
    ['nothing at all', {}],
    ['empty values', { authorization: '', 'x-api-key': '', 'api-key': '' }],
    ['a Bearer without a key', { authorization: 'Bearer' }],
    ['a Bearer with spaces', { authorization: 'Bearer  ' }],
  ])('%s is not a key', (_, headers) => {
    expect(callersOf().identify(request(headers)).tenant).toBe('anonymous')
    expect(callersOf().identify(request({ ...headers, 'api-key': 'a' })).tenant).toBe(deriver.tenant('a'))
  })

  it('a key in Azure’s header is the same tenant as in any other header', () => {
    expect(callersOf().identify(request({ 'api-key': 'A' })).tenant).toBe(deriver.tenant('A'))
    expect(callersOf().identify(request({ 'api-key': 'A', authorization: 'Bearer A' })).tenant).toBe(
      deriver.tenant('A'),
    )
    expect(callersOf().identify(request({ 'api-key': 'B' })).tenant).not.toBe(deriver.tenant('A'))
  })

  it('requests that differ in any credential are of different tenants', () => {
    const text = fc.constantFrom('', 'a', 'b', '["a"]', 'a,b')
    const scheme = fc.constantFrom('', 'Basic a', 'Basic b', 'Bearer a', 'Bearer b', 'Digest a', 'Bearer a b', 'a')
    const seen = new Map<string, string>()
    const callers = callersOf()
    fc.assert(
      fc.property(scheme, text, text, (authorization, xApiKey, apiKey) => {
        const sent = request({ authorization, 'x-api-key': xApiKey, 'api-key': apiKey })
        if (refused(() => callers.identify(sent)) !== '') return
        const { tenant } = callers.identify(sent)
        const bearer = /^(?:Bearer )?(\S+)$/.exec(authorization)?.[1]
        const keys = new Set([bearer, xApiKey, apiKey].filter((key) => key !== undefined && key !== ''))
        const spelt = JSON.stringify([[...keys], bearer === undefined ? authorization : ''])
        expect(seen.get(tenant) ?? spelt).toBe(spelt)
        expect(callers.forRest(sent).tenant).toBe(tenant)
        seen.set(tenant, spelt)
      }),
      { seed: 4, numRuns: 500 },
    )
    expect(seen.size).toBeGreaterThan(10)
  })

  // Ids under which data is already stored.
  it('the tenant ids of a single key, or of another scheme alone, stay the same', () => {
    expect(deriver.tenant('sk-1')).toBe('k-o5zn2Qpe5f0dtb9IeILR4q')
    expect(callersOf().identify(bearer('sk-1')).tenant).toBe('k-o5zn2Qpe5f0dtb9IeILR4q')
    expect(callersOf().identify(request({ 'x-api-key': 'sk-1' })).tenant).toBe('k-o5zn2Qpe5f0dtb9IeILR4q')
    expect(callersOf().identify(request({ authorization: 'Basic dTpw' })).tenant).toBe('k-O1JVAqbPZ35Mjp6IzaHFS1')
  })

  it('credentials of another scheme beside a key, as a proxy in front adds them, are part of the identity', () => {
    const by = (authorization: string, key: string) =>
      callersOf().identify(request({ authorization, 'x-api-key': key })).tenant

    const tenants = [by('Basic a', 'k'), by('Basic b', 'k'), by('Basic a', 'l'), deriver.tenant('k')]

    expect(new Set(tenants).size).toBe(4)
  })
})

describe('with listed tenants', () => {
  const own: TenantPolicy = { ...policy, isolation: 'user' }
  const listed: TenantEntry[] = [
    {
      id: 'acme',
      keys: [
        { name: 'old', sha256: keyHash('sk-old') },
        { name: 'new', sha256: keyHash('sk-new') },
      ],
      policy: own,
    },
    { id: 'other', keys: [{ name: 'main', sha256: keyHash('sk-other') }], policy },
  ]

  it('each key of a tenant identifies that tenant, under its own name', () => {
    const callers = callersOf({ listed })

    expect(callers.identify(bearer('sk-old'))).toEqual({
      tenant: 'acme',
      sharer: 'acme',
      actor: 'old',
      apiKey: undefined,
      operator: false,
      policy: own,
    })
    expect(callers.identify(request({ 'x-api-key': 'sk-new' }))).toMatchObject({ tenant: 'acme', actor: 'new' })
    expect(callers.identify(bearer('sk-other')).tenant).toBe('other')
  })

  it.each([
    ['no key', {}],
    ['an unknown key', { authorization: 'Bearer sk-guess' }],
    ['the hash of a key', { authorization: `Bearer ${keyHash('sk-old')}` }],
    ['another scheme', { authorization: 'Basic sk-old' }],
  ])('%s is rejected', (_, headers: Record<string, string>) => {
    for (const callers of [callersOf({ listed }), callersOf({ listed, upstreamApiKey: 'engine' })]) {
      expect(refused(() => callers.identify(request(headers)))).toBe('UNAUTHORIZED authorization')
      expect(refused(() => callers.forRest(request(headers)))).toBe('UNAUTHORIZED authorization')
      expect(refused(() => callers.tenantInView(request(headers)))).toBe('UNAUTHORIZED authorization')
    }
  })

  it('the listed key alone decides, whatever credentials a proxy in front adds', () => {
    const callers = callersOf({ listed })

    for (const name of ['x-api-key', 'api-key']) {
      expect(callers.identify(request({ [name]: 'sk-old', authorization: 'Basic dTpw' })).tenant).toBe('acme')
    }
  })

  it("the upstream gets its own key or none, never the client's", () => {
    expect(callersOf({ listed }).forRest(bearer('sk-old')).apiKey).toBeUndefined()
    expect(callersOf({ listed, upstreamApiKey: 'engine' }).identify(bearer('sk-old')).apiKey).toBe('engine')
  })
})

describe('the operator', () => {
  it.each(credentialHeaders)('cannot go upstream with the key as %s', (name) => {
    const key = name === 'authorization' ? `Bearer ${operatorKey}` : operatorKey

    expect(refused(() => callersOf({ operatorKey }).identify(request({ [name]: key })))).toMatch(/^UNAUTHORIZED/)
  })

  it('acts on REST for a named tenant, and must name one', () => {
    const callers = callersOf({ operatorKey, upstreamApiKey: 'engine' })

    expect(callers.forRest(bearer(operatorKey, { 'x-cwm-tenant': 'k-abc' }))).toEqual({
      tenant: 'k-abc',
      sharer: 'k-abc',
      actor: 'operator',
      apiKey: 'engine',
      operator: true,
      policy,
    })
    expect(refused(() => callers.forRest(bearer(operatorKey)))).toBe('INVALID_HEADER x-cwm-tenant')
    for (const id of ['', 'a b', 'a, b', '../a', 'a'.repeat(65)]) {
      expect(refused(() => callers.forRest(bearer(operatorKey, { 'x-cwm-tenant': id })))).toBe(
        'INVALID_HEADER x-cwm-tenant',
      )
    }
  })

  it('reads the records of all tenants, or of a named one; a tenant reads its own', () => {
    const callers = callersOf({ operatorKey })

    expect(callers.tenantInView(bearer(operatorKey))).toBeUndefined()
    expect(callers.tenantInView(bearer(operatorKey, { 'x-cwm-tenant': 'acme' }))).toBe('acme')
    expect(callers.tenantInView(bearer('sk-1'))).toBe(deriver.tenant('sk-1'))
  })

  it('is the only one to name a tenant: a client that does is rejected, even for its own', () => {
    const callers = callersOf({ operatorKey })

    for (const key of ['sk-1', `${operatorKey}x`]) {
      const named = bearer(key, { 'x-cwm-tenant': deriver.tenant(key) })
      expect(refused(() => callers.forRest(named))).toBe('UNAUTHORIZED x-cwm-tenant')
      expect(refused(() => callers.tenantInView(named))).toBe('UNAUTHORIZED x-cwm-tenant')
    }
  })

  it('is admitted with the key only, from anywhere', () => {
    const callers = callersOf({ operatorKey })
    const open = (headers: Record<string, string>, address?: string) =>
      refused(() => callers.requireOperator(request(headers, address)))

    expect(open({ authorization: `Bearer ${operatorKey}` }, '10.0.0.1')).toBe('')
    expect(open({ authorization: `Bearer ${operatorKey}x` }, '10.0.0.1')).toMatch(/^UNAUTHORIZED/)
    expect(open({})).toMatch(/^UNAUTHORIZED/)
  })

  it.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])(
    'is without a key whoever is on this machine, but not a proxy on it that says %s',
    (name) => {
      const callers = callersOf()

      expect(refused(() => callers.requireOperator(request({})))).toBe('')
      expect(refused(() => callers.requireOperator(request({}, '10.0.0.1')))).toMatch(/^UNAUTHORIZED/)
      expect(refused(() => callers.requireOperator(request({ [name]: '1.2.3.4' })))).toMatch(/^UNAUTHORIZED/)
    },
  )
})
