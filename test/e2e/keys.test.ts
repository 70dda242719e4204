// API keys that the operator creates by REST, and expiring keys of the settings file: who is let in, until when, and what is recorded.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { AuditEntryJson } from '../../src/wire/audit.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { listen } from '../support/event-stream.ts'
import {
  asOperator,
  bearer,
  createKey,
  fileKey,
  listKeys,
  operatorKey,
  revokeKey,
  statusesOf,
  tenantSettings,
} from '../support/keys.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { usageOf } from '../support/usage.ts'

let stack: Stack
beforeEach(async () => {
  stack = await startStack({ settings: tenantSettings })
})
afterEach(() => stack.close())

const post = (body: object, headers: Record<string, string> = asOperator) =>
  call(stack.url, 'POST', '/keys', body, headers)
const refusalOf = (key: string) => ask(stack.url, '/v1/models', { headers: bearer(key) }).then(errorOf)

describe('a key created by REST', () => {
  it('acts for its tenant at once, and is shown once', async () => {
    const { secret, ...key } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })

    expect(secret).toMatch(/^cwm-[A-Za-z0-9_-]{43}$/)
    expect(key).toMatchObject({ tenant: 'acme', name: 'ci', source: 'rest', expires_at: null, expired: false })
    expect(await statusesOf(stack.url, secret)).toEqual([200, 200])
    expect(await rest(stack.url, 'GET', '/tenants/me', undefined, bearer(secret))).toMatchObject({ id: 'acme' })
    const shown = JSON.stringify(await listKeys(stack.url))
    for (const hidden of [secret, keyHash(secret), keyHash(fileKey)]) expect(shown).not.toContain(hidden)
  })

  it('is listed with those of the file, by tenant and name, page by page', async () => {
    for (const name of ['zeta', 'alpha']) await createKey(stack.url, { tenant: 'acme', name })

    const { data } = await listKeys(stack.url)
    const first = await listKeys(stack.url, '?limit=2')
    const second = await listKeys(stack.url, `?limit=2&cursor=${first.next_cursor}`)

    expect(data.map(({ tenant, name, source }) => `${tenant} ${name} ${source}`)).toEqual([
      'acme alpha rest',
      'acme laptop file',
      'acme zeta rest',
      'globex main file',
    ])
    expect([...first.data, ...second.data]).toEqual(data)
    expect(second.next_cursor).toBeUndefined()
    expect((await listKeys(stack.url, '?tenant=globex')).data).toEqual([
      {
        id: null,
        tenant: 'globex',
        name: 'main',
        source: 'file',
        created_at: null,
        expires_at: null,
        expired: false,
        requests_per_minute: null,
        tokens_per_minute: null,
        last_used_at: null,
      },
    ])
  })

  it('survives a restart, and so does its last use', async () => {
    const { id, secret } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    const before = Date.now()
    await statusesOf(stack.url, secret)

    await stack.restart()

    const [key] = (await listKeys(stack.url, '?tenant=acme')).data
    expect(key?.id).toBe(id)
    expect(Date.parse(String(key?.last_used_at))).toBeGreaterThanOrEqual(before)
    expect(await statusesOf(stack.url, secret)).toEqual([200, 200])
  })

  it('is the actor in the audit log, and the key in the usage', async () => {
    const { secret } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    await chat(stack.url, [user('hi')], { headers: { ...bearer(secret), 'x-cwm-session': 'of-ci' } })

    await rest(stack.url, 'DELETE', '/sessions/of-ci', undefined, bearer(secret))

    const { data } = await usageOf(stack.url, '?by=key', asOperator)
    expect(data.map(({ key, requests }) => [key, requests])).toEqual([['ci', 1]])
    const entry = await until('the end of the session is recorded', async () =>
      (await auditOf('acme')).find(({ action }) => action === 'end'),
    )
    expect(entry).toMatchObject({ actor: 'ci' })
  })

  it('is recorded in the audit log of its tenant when it is created, refused, and revoked', async () => {
    const { id } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    await post({ tenant: 'acme', name: 'ci' })
    await revokeKey(stack.url, id)

    const entries = await until('all three are recorded', async () => {
      const found = await auditOf('acme')
      return found.length === 3 && found
    })

    expect(entries.map(({ actor, action, target, name, outcome }) => [actor, action, target, name, outcome])).toEqual([
      ['operator', 'revoke', 'key', 'ci', 'ok'],
      ['operator', 'create', 'key', 'ci', 'key_name_taken'],
      ['operator', 'create', 'key', 'ci', 'ok'],
    ])
  })

  it('goes with its tenant', async () => {
    const { secret } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    const other = await createKey(stack.url, { tenant: 'globex', name: 'ci' })

    await rest(stack.url, 'DELETE', '/tenants/me', undefined, { ...asOperator, 'x-cwm-tenant': 'acme' })

    expect(await statusesOf(stack.url, secret)).toEqual([401, 401])
    expect(await statusesOf(stack.url, other.secret)).toEqual([200, 200])
    expect((await listKeys(stack.url, '?tenant=acme')).data.map(({ name }) => name)).toEqual(['laptop'])
  })

  it('is rejected while its tenant is not listed, and accepted once it is again', async () => {
    const { secret } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    const tenants = tenantSettings.tenants ?? []

    await stack.reload({ tenants: tenants.filter(({ id }) => id !== 'acme') })
    expect(await statusesOf(stack.url, secret)).toEqual([401, 401])
    expect((await listKeys(stack.url, '?tenant=acme')).data.map(({ name }) => name)).toEqual(['ci'])
    await stack.reload({ tenants })

    expect(await statusesOf(stack.url, secret)).toEqual([200, 200])
  })

  const auditOf = async (tenant: string) =>
    (
      await rest<{ data: AuditEntryJson[] }>(stack.url, 'GET', '/audit', undefined, {
        ...asOperator,
        'x-cwm-tenant': tenant,
      })
    ).data
})

describe('a key that is revoked', () => {
  it('is rejected from the next request on, on every face', async () => {
    const { id, secret } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    expect(await statusesOf(stack.url, secret)).toEqual([200, 200])

    expect(await revokeKey(stack.url, id)).toMatchObject({ id, tenant: 'acme', name: 'ci' })

    expect(await statusesOf(stack.url, secret)).toEqual([401, 401])
    expect(await refusalOf(secret)).toMatchObject({ code: 'unauthorized' })
    expect((await call(stack.url, 'DELETE', `/keys/${id}`, undefined, asOperator)).status).toBe(404)
    expect(await statusesOf(stack.url, fileKey)).toEqual([200, 200])
  })

  it('loses its event stream and its login to the dashboard, and another key of the tenant does not', async () => {
    const { id, secret } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    const cookie = await login(secret)
    const [ended, open] = [await listen(stack.url, bearer(secret)), await listen(stack.url, bearer(fileKey))]
    expect((await ask(stack.url, '/cwm/ui', { headers: { cookie } })).status).toBe(200)

    await revokeKey(stack.url, id)

    expect(await ended.ended()).toBe(true)
    const page = await ask(stack.url, '/cwm/ui', { headers: { cookie } })
    expect([page.status, page.headers.location]).toEqual([303, '/cwm/ui/login'])
    open.leave()
    expect(await open.ended()).toBe(false)
  })

  it('makes room for another one with its name', async () => {
    const { id } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })
    await revokeKey(stack.url, id)

    const { secret } = await createKey(stack.url, { tenant: 'acme', name: 'ci' })

    expect(await statusesOf(stack.url, secret)).toEqual([200, 200])
  })
})

describe('a key that expires', () => {
  it('is rejected from then on with a message that says so, and its event stream and login end', async () => {
    const { secret, expires_at } = await createKey(stack.url, { tenant: 'acme', name: 'short', expires_in_s: 2 })
    const stream = await listen(stack.url, bearer(secret))
    const cookie = await login(secret)
    expect(await statusesOf(stack.url, secret)).toEqual([200, 200])

    expect(await stream.ended()).toBe(true)

    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(String(expires_at)))
    const refusal = await refusalOf(secret)
    expect(refusal).toMatchObject({ code: 'unauthorized' })
    expect(refusal.message).toBe(`this API key expired at ${expires_at}; ask the operator of this cwm for a new one`)
    expect(await statusesOf(stack.url, secret)).toEqual([401, 401])
    expect((await ask(stack.url, '/cwm/ui', { headers: { cookie } })).headers.location).toBe('/cwm/ui/login')
    expect((await listKeys(stack.url, '?tenant=acme')).data.map(({ name, expired }) => [name, expired])).toEqual([
      ['laptop', false],
      ['short', true],
    ])
  })

  it('may be one of the settings file', async () => {
    const expires = new Date(Date.now() + 1_500).toISOString()
    const keys = [
      { name: 'old', sha256: keyHash('sk-old-0123456789'), expires: '2020-01-31T00:00:00+02:00' },
      { name: 'soon', sha256: keyHash('sk-soon-0123456789'), expires },
    ]
    await stack.reload({ tenants: [{ id: 'acme', keys }] })
    expect(await statusesOf(stack.url, 'sk-soon-0123456789')).toEqual([200, 200])
    const stream = await listen(stack.url, bearer('sk-soon-0123456789'))

    expect(await stream.ended()).toBe(true)

    expect((await refusalOf('sk-soon-0123456789')).message).toContain(`expired at ${expires}`)
    expect((await refusalOf('sk-old-0123456789')).message).toContain('expired at 2020-01-30T22:00:00.000Z')
    expect((await listKeys(stack.url)).data.map(({ name, expired }) => [name, expired])).toEqual([
      ['old', true],
      ['soon', true],
    ])
  })
})

describe('keys by REST', () => {
  it.each([
    ['POST', '/keys', { tenant: 'acme', name: 'mine' }],
    ['GET', '/keys', undefined],
    ['DELETE', '/keys/key_x', undefined],
  ])('are for the operator only: %s %s', async (method, path, body) => {
    const asTenant = { ...asOperator, 'x-cwm-tenant': 'acme' }

    for (const headers of [bearer(fileKey), asTenant, {}]) {
      expect((await call(stack.url, method, path, body, headers)).status).toBe(401)
    }
    expect((await listKeys(stack.url)).data).toHaveLength(2)
  })

  it.each([
    [{ tenant: 'acme' }, 'name'],
    [{ tenant: 'acme', name: '-x' }, 'name'],
    [{ tenant: 'acme', name: 'x'.repeat(65) }, 'name'],
    [{ tenant: 'acme', name: 'a', expires_at: 'tomorrow' }, 'expires_at'],
    [{ tenant: 'acme', name: 'a', expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    [{ tenant: 'acme', name: 'a', expires_in_s: 0 }, 'expires_in_s'],
    [{ tenant: 'acme', name: 'a', expires_in_s: 1, expires_at: '2099-01-01T00:00:00Z' }, 'expires_in_s'],
    [{ tenant: 'acme', name: 'a', requests_per_minute: 0 }, 'requests_per_minute'],
    [{ tenant: 'acme', name: 'a', tokens_per_minute: 1.5 }, 'tokens_per_minute'],
    [{ tenant: 'acme', name: 'a', tokens_per_minute: '9' }, 'tokens_per_minute'],
    [{ tenant: 'acme', name: 'a', sha256: 'x' }, 'sha256'],
  ])('are not created from %j', async (body, param) => {
    const got = await post(body)

    expect(got.status).toBe(400)
    expect(errorOf(got)).toMatchObject({ code: 'invalid_field', param })
  })

  it('belong to listed tenants, and their names are unique within one', async () => {
    await createKey(stack.url, { tenant: 'acme', name: 'ci' })

    expect(errorOf(await post({ tenant: 'initech', name: 'ci' })).code).toBe('tenant_not_found')
    expect(errorOf(await call(stack.url, 'GET', '/keys?tenant=initech', undefined, asOperator)).code).toBe(
      'tenant_not_found',
    )
    expect(errorOf(await post({ tenant: 'acme', name: 'ci' })).code).toBe('key_name_taken')
    expect(errorOf(await post({ tenant: 'acme', name: 'laptop' })).code).toBe('key_name_taken')
    expect((await post({ tenant: 'globex', name: 'ci' })).status).toBe(201)
  })

  it('need tenants in the settings', async () => {
    await stack.restart({ tenants: undefined } as never)

    const got = await post({ tenant: 'acme', name: 'ci' })

    expect([got.status, errorOf(got).code]).toEqual([400, 'not_supported'])
    expect(errorOf(got).message).toContain('list tenants')
  })

  it('answer with the secret in a way that no cache keeps', async () => {
    const got = await post({ tenant: 'acme', name: 'ci' })

    expect(got.headers['cache-control']).toBe('no-store')
    expect(jsonOf<{ secret: string }>(got).secret).not.toBe(operatorKey)
  })
})

async function login(key: string): Promise<string> {
  const body = new URLSearchParams({ api_key: key })
  const answer = await fetch(`${stack.url}/cwm/ui/login`, { method: 'POST', body, redirect: 'manual' })
  return String(answer.headers.get('set-cookie')).split(';')[0] ?? ''
}
