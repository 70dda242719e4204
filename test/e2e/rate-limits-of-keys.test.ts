// Rate limits of single keys: those of the settings file, and those created by REST. The clock stands still.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import type { TenantJson } from '../../src/wire/tenants.ts'
import { errorOf, type Got } from '../support/client.ts'
import { askChat, prose, user } from '../support/conversation.ts'
import { bearer, createKey, fileKey, listKeys, operatorKey } from '../support/keys.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack | undefined
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(async () => {
  await stack?.close()
  stack = undefined
  vi.useRealTimers()
})

async function start(settings: Partial<Settings>): Promise<string> {
  stack = await startStack({ settings })
  return stack.url
}

const me = (headers: Record<string, string>) =>
  rest<TenantJson>(stack?.url ?? '', 'GET', '/tenants/me', undefined, headers)

describe('a key with limits of its own', () => {
  const tenants = (key: object = {}): NonNullable<Settings['tenants']> => [
    {
      id: 'acme',
      requests_per_minute: 3,
      keys: [
        { name: 'ci', sha256: keyHash('sk-ci'), requests_per_minute: 1, ...key },
        { name: 'web', sha256: keyHash('sk-web') },
      ],
    },
  ]
  const from = (url: string, key: string) =>
    askChat(url, [user('hello')], { headers: { authorization: `Bearer ${key}` } })

  it('is limited alone, and counts toward its tenant', async () => {
    const url = await start({ tenants: tenants() })

    const got = [await from(url, 'sk-ci'), await from(url, 'sk-ci')]
    for (let n = 0; n < 3; n++) got.push(await from(url, 'sk-web'))

    expect(got.map(({ status }) => status)).toEqual([200, 429, 200, 200, 429])
    expect(got.map(({ headers }) => headers['x-ratelimit-limit-requests'])).toEqual(['1', '1', '3', '3', '3'])
    expect(errorOf(got[1] as Got).message).toContain("this key's requests_per_minute is 1")
    const rates = (await me({ authorization: 'Bearer sk-ci' })).rates
    expect(rates).toMatchObject({ tenant: { requests: { limit: 3, remaining: 0 } }, key: { requests: { limit: 1 } } })
  })

  it('gets another limit by a reload', async () => {
    const url = await start({ tenants: tenants() })
    await from(url, 'sk-ci')

    await stack?.reload({ tenants: tenants({ requests_per_minute: 2 }) })

    expect([await from(url, 'sk-ci'), await from(url, 'sk-ci')].map(({ status }) => status)).toEqual([200, 429])
  })
})

describe('a key created by REST', () => {
  const tenants = [
    { id: 'acme', requests_per_minute: 3, keys: [{ name: 'web', sha256: keyHash(fileKey), tokens_per_minute: 9_000 }] },
  ]
  const settings = { tenants, operator_key: operatorKey }
  const from = (url: string, key: string) => askChat(url, [user('hello')], { headers: bearer(key) })

  it('is limited alone, and counts toward its tenant', async () => {
    const url = await start(settings)
    const { secret } = await createKey(url, { tenant: 'acme', name: 'ci', requests_per_minute: 1 })

    const got = [await from(url, secret), await from(url, secret)]
    for (let n = 0; n < 3; n++) got.push(await from(url, fileKey))

    expect(got.map(({ status }) => status)).toEqual([200, 429, 200, 200, 429])
    expect(got.map(({ headers }) => headers['x-ratelimit-limit-requests'])).toEqual(['1', '1', '3', '3', '3'])
    expect(errorOf(got[1] as Got).message).toContain("this key's requests_per_minute is 1")
    expect((await me(bearer(secret))).rates).toMatchObject({ key: { requests: { limit: 1, remaining: 0 } } })
  })

  it('keeps its limits over a restart and a reload, and is listed with them like one of the file', async () => {
    const url = await start(settings)
    const { secret, ...made } = await createKey(url, { tenant: 'acme', name: 'ci', tokens_per_minute: 200 })
    await createKey(url, { tenant: 'acme', name: 'free' })

    await stack?.restart()
    await stack?.reload({ tenants: [{ id: 'acme', keys: tenants[0]?.keys ?? [] }] })

    expect(made).toMatchObject({ requests_per_minute: null, tokens_per_minute: 200 })
    const { data } = await listKeys(stack?.url ?? '')
    expect(
      data.map(({ name, requests_per_minute, tokens_per_minute }) => [name, requests_per_minute, tokens_per_minute]),
    ).toEqual([
      ['ci', null, 200],
      ['free', null, null],
      ['web', null, 9_000],
    ])
    const got = await askChat(stack?.url ?? '', [user(prose(400))], { headers: bearer(secret) })
    expect([got.status, errorOf(got).code]).toEqual([400, 'rate_limit_too_small'])
  })

  it('without limits of its own has those of its tenant', async () => {
    const url = await start(settings)
    const { secret } = await createKey(url, { tenant: 'acme', name: 'ci' })

    const got = await from(url, secret)

    expect(got.headers['x-ratelimit-limit-requests']).toBe('3')
    expect(got.headers).not.toHaveProperty('x-ratelimit-limit-tokens')
    expect((await me(bearer(secret))).rates?.key).toEqual({})
  })
})
