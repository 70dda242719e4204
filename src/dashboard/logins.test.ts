// The bound of ended logins: whose logins it ends, and that none comes back.

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { LoginMethods } from '../store/store.ts'
import type { Login } from '../store/store-values.ts'
import { Logins } from './logins.ts'

const noon = 1_800_000_000_000

function openLogins() {
  const ended: { readonly login: Login; readonly keep: number }[] = []
  const store: LoginMethods = {
    endLogin: async (login, keep) => void ended.push({ login, keep }),
    isLoginEnded: async ({ id }) => ended.some(({ login }) => login.id === id),
  }
  const isListed = (tenant: string) => tenant === 'acme'
  return { ended, logins: new Logins({ loginKey: Buffer.alloc(32, 7), store, isListed, now: () => noon }) }
}

const ownersOf = (ended: ReturnType<typeof openLogins>['ended']) => ended.map(({ login }) => login.owner)

describe('a login', () => {
  it('is found until it ends, and then no copy of it is', async () => {
    const { logins } = openLogins()
    const [first, second] = [1, 2].map(() => logins.begin({ apiKey: 'sk-1' }, 'acme')) as [string, string]
    expect(await logins.find(first)).toEqual({ apiKey: 'sk-1' })

    await logins.end(first)

    expect(await logins.find(first)).toBeUndefined()
    // base64url ignores such characters: the same bytes under another text.
    expect(await logins.find(`${first}.`)).toBeUndefined()
    expect(await logins.find(second)).toEqual({ apiKey: 'sk-1' })
  })

  it('counts toward its listed tenant, the operator, or one of 256 owners that unlisted tenants share', async () => {
    const { logins, ended } = openLogins()
    await logins.end(logins.begin({ apiKey: 'sk-1' }, 'acme'))
    await logins.end(logins.begin({ apiKey: 'operator', tenant: 'acme' }, 'acme'))
    await logins.end(logins.begin({ apiKey: 'sk-2' }, 'k-somebody'))

    const bucket = createHash('sha256').update('k-somebody').digest().readUInt32BE() % 256
    expect(ownersOf(ended)).toEqual(['tenant:acme', 'operator', `unlisted:${bucket}`])
    expect(ended.map(({ keep }) => keep)).toEqual([1_000, 1_000, 1_000])
  })

  it('ends nothing if its cookie is none', async () => {
    const { logins, ended } = openLogins()
    await logins.end('A'.repeat(200))

    expect(ended).toEqual([])
  })
})
