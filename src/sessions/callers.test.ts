// Who is asking: by key alone, by a list of tenants, or as the operator.

import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { keyHash } from '../base/auth.ts'
import { CwmError } from '../base/errors.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import { Callers } from './callers.ts'
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

function callersOf({ listed, operatorKey, upstreamApiKey }: Setup = {}): Callers {
  return new Callers(deriver, new Tenants(policy, listed), { operatorKey, upstreamApiKey })
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

describe('without listed tenants', () => {
  it('one key is one tenant, in whichever header it comes, and no key is another', () => {
    const callers = callersOf({ operatorKey })
    const caller = callers.identify(bearer('sk-1'))

    expect(callers.identify(request({ 'x-api-key': 'sk-1' }))).toEqual(caller)
    expect(callers.identify(request({ 'x-api-key': 'sk-1', authorization: 'bearer   sk-1 ' }))).toEqual(caller)
    expect(caller).toEqual({ tenant: deriver.tenant('sk-1'), actor: 'key', apiKey: 'sk-1', operator: false, policy })
    expect(callers.identify(request({}))).toMatchObject({ tenant: 'anonymous', apiKey: undefined })
  })

  it("the upstream's own key goes there in place of the client's", () => {
    expect(callersOf({ upstreamApiKey: 'engine' }).identify(bearer('sk-1')).apiKey).toBe('engine')
  })

  it('another kind of credentials is not taken for none', () => {
    const tenants = ['Basic dTpw', 'Basic dTpx'].map(
      (it) => callersOf().identify(request({ authorization: it })).tenant,
    )

    expect(new Set([...tenants, 'anonymous']).size).toBe(3)
  })

  it('two different keys are refused', () => {
    const twice = { ...bearer('a'), rawHeaders: ['Authorization', 'Bearer a', 'authorization', 'Bearer b'] }

    for (const two of [bearer('a', { 'x-api-key': 'b' }), twice as unknown as IncomingMessage]) {
      expect(refused(() => callersOf().identify(two))).toMatch(/^INVALID_HEADER/)
    }
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

  it('each key of a tenant is that tenant, under its own name', () => {
    const callers = callersOf({ listed })

    expect(callers.identify(bearer('sk-old'))).toEqual({
      tenant: 'acme',
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
  ])('%s is refused', (_, headers: Record<string, string>) => {
    for (const callers of [callersOf({ listed }), callersOf({ listed, upstreamApiKey: 'engine' })]) {
      expect(refused(() => callers.identify(request(headers)))).toBe('UNAUTHORIZED authorization')
      expect(refused(() => callers.forRest(request(headers)))).toBe('UNAUTHORIZED authorization')
      expect(refused(() => callers.tenantInView(request(headers)))).toBe('UNAUTHORIZED authorization')
    }
  })

  it("the upstream gets its own key or none, never the client's", () => {
    expect(callersOf({ listed }).forRest(bearer('sk-old')).apiKey).toBeUndefined()
    expect(callersOf({ listed, upstreamApiKey: 'engine' }).identify(bearer('sk-old')).apiKey).toBe('engine')
  })
})

describe('the operator', () => {
  it.each(['authorization', 'x-api-key'])('never goes upstream with his key as %s', (name) => {
    const key = name === 'authorization' ? `Bearer ${operatorKey}` : operatorKey

    expect(refused(() => callersOf({ operatorKey }).identify(request({ [name]: key })))).toMatch(/^UNAUTHORIZED/)
  })

  it('acts on REST for the tenant that he names, and must name one', () => {
    const callers = callersOf({ operatorKey, upstreamApiKey: 'engine' })

    expect(callers.forRest(bearer(operatorKey, { 'x-cwm-tenant': 'k-abc' }))).toEqual({
      tenant: 'k-abc',
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

  it('reads the records of all tenants, or of the one that he names; a tenant reads its own', () => {
    const callers = callersOf({ operatorKey })

    expect(callers.tenantInView(bearer(operatorKey))).toBeUndefined()
    expect(callers.tenantInView(bearer(operatorKey, { 'x-cwm-tenant': 'acme' }))).toBe('acme')
    expect(callers.tenantInView(bearer('sk-1'))).toBe(deriver.tenant('sk-1'))
  })

  it('is nobody else: a client that names a tenant is refused, be it its own', () => {
    const callers = callersOf({ operatorKey })

    for (const key of ['sk-1', `${operatorKey}x`]) {
      const named = bearer(key, { 'x-cwm-tenant': deriver.tenant(key) })
      expect(refused(() => callers.forRest(named))).toBe('UNAUTHORIZED x-cwm-tenant')
      expect(refused(() => callers.tenantInView(named))).toBe('UNAUTHORIZED x-cwm-tenant')
    }
  })

  it('comes in with his key alone, from anywhere', () => {
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
