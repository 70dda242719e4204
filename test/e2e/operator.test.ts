// The operator on REST, and the audit log: who requested what, and how it ended, without any content.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import type { AuditEntryJson } from '../../src/wire/audit.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { askChat, chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const operator = bearer('operator-key-0123456789')
const acme = bearer('sk-acme-0123456789')
const other = bearer('sk-other-012345678')
const keysOf = (name: string, { authorization }: { authorization: string }) => [
  { name, sha256: keyHash(authorization.slice(7)) },
]

const tenants: NonNullable<Settings['tenants']> = [
  { id: 'acme', keys: keysOf('laptop', acme) },
  { id: 'other', keys: keysOf('main', other) },
]

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ settings: { tenants, operator_key: operator.authorization.slice(7) } })
})
afterAll(() => stack.close())

async function auditOf(headers: Record<string, string>, query = ''): Promise<AuditEntryJson[]> {
  return jsonOf<{ data: AuditEntryJson[] }>(await ask(stack.url, `/cwm/v1/audit${query}`, { headers })).data
}

/** An operation is recorded when it ends, which may be slightly after its response. */
function recorded(headers: Record<string, string>, action: string, name: string): Promise<AuditEntryJson> {
  return until(`the audit log tells of ${action} ${name}`, async () =>
    (await auditOf(headers)).find((entry) => entry.action === action && entry.name === name),
  )
}

const secretWords = 'the treasure lies under the third mill'

async function freezeWindow(name: string, headers: Record<string, string>): Promise<void> {
  await chat(stack.url, [user(`${secretWords}: ${prose(300, name)}`)], {
    headers: { ...headers, 'x-cwm-freeze': name },
  })
  await settled(stack.url, name, headers)
}

describe('the list of tenants', () => {
  interface Listed {
    readonly id: string
    readonly listed: boolean
    readonly usage: { readonly sessions: number; readonly windows: number }
  }
  const list = (headers: Record<string, string>, query = '') => ask(stack.url, `/cwm/v1/tenants${query}`, { headers })

  it('contains those in the settings with their usage, in pages, and no keys', async () => {
    await freezeWindow('counted', acme)

    const got = await list(operator)
    const first = jsonOf<{ data: Listed[]; next_cursor: string }>(await list(operator, '?limit=1'))
    const second = jsonOf<{ data: Listed[]; next_cursor?: string }>(
      await list(operator, `?limit=1&cursor=${first.next_cursor}`),
    )

    const [one, two] = jsonOf<{ data: Listed[] }>(got).data
    expect([one?.id, one?.listed, two?.id, two?.listed]).toEqual(['acme', true, 'other', true])
    expect(one?.usage.windows).toBeGreaterThan(0)
    expect(two?.usage).toMatchObject({ sessions: 0, windows: 0 })
    expect([first.data, second.data].map(([tenant]) => tenant?.id)).toEqual(['acme', 'other'])
    expect(second.next_cursor).toBeUndefined()
    for (const { authorization } of [acme, other]) expect(got.text).not.toContain(keyHash(authorization.slice(7)))
  })

  it('is available to the operator only', async () => {
    const refused = [await list(acme), await list({}), await list({ ...operator, 'x-cwm-tenant': 'acme' })]

    expect(refused.map(({ status }) => status)).toEqual([401, 401, 401])
  })

  it('contains the tenants in the store if none are listed, and requires an operator’s key then too', async () => {
    const open = await startStack({ settings: { operator_key: operator.authorization.slice(7) } })
    await chat(open.url, [user('hello')], { headers: { ...acme, 'x-cwm-session': 'a' } })
    const me = jsonOf<Listed>(await ask(open.url, '/cwm/v1/tenants/me', { headers: acme }))

    const seen = jsonOf<{ data: Listed[] }>(await ask(open.url, '/cwm/v1/tenants', { headers: operator })).data
    const stranger = await ask(open.url, '/cwm/v1/tenants')
    await open.close()

    expect(seen).toEqual([{ ...me, listed: false }])
    expect(stranger.status).toBe(401)
  })
})

describe('the operator', () => {
  it('sees and deletes data of a named tenant', async () => {
    await freezeWindow('for-the-operator', acme)
    const asAcme = { ...operator, 'x-cwm-tenant': 'acme' }

    const seen = await ask(stack.url, '/cwm/v1/windows/for-the-operator', { headers: asAcme })
    const elsewhere = await ask(stack.url, '/cwm/v1/windows/for-the-operator', {
      headers: { ...operator, 'x-cwm-tenant': 'other' },
    })
    const deleted = await ask(stack.url, '/cwm/v1/windows/for-the-operator', { method: 'DELETE', headers: asAcme })

    expect([seen.status, elsewhere.status, deleted.status]).toEqual([200, 404, 200])
    expect(await recorded(acme, 'delete', 'for-the-operator')).toMatchObject({ tenant: 'acme', actor: 'operator' })
  })

  it('must name a tenant, and nobody else may', async () => {
    const unnamed = await ask(stack.url, '/cwm/v1/windows', { headers: operator })
    const tenant = await ask(stack.url, '/cwm/v1/windows', { headers: { ...other, 'x-cwm-tenant': 'acme' } })

    expect([unnamed.status, errorOf(unnamed).param]).toEqual([400, 'x-cwm-tenant'])
    expect([tenant.status, errorOf(tenant).param]).toEqual([401, 'x-cwm-tenant'])
  })

  it.each(['/v1/chat/completions', '/v1/models', '/tokenize', '/cwm/s/x/v1/chat/completions'])(
    'is rejected on %s, and so is the header that names a tenant',
    async (path) => {
      const before = stack.sim.requests.all('engine').length
      const body = path === '/v1/models' ? {} : { body: { model: 'sim-model', messages: [user('hi')], prompt: 'x' } }

      const own = await ask(stack.url, path, { ...body, headers: operator })
      const named = await ask(stack.url, path, { ...body, headers: { ...operator, 'x-cwm-tenant': 'acme' } })
      const tenant = await ask(stack.url, path, { ...body, headers: { ...acme, 'x-cwm-tenant': 'acme' } })

      expect([own.status, named.status, tenant.status]).toEqual([401, 401, 400])
      expect(stack.sim.requests.all('engine').length).toBe(before)
    },
  )

  it('is the only one to read the metrics', async () => {
    const statuses = [operator, acme].map((headers) => ask(stack.url, '/cwm/metrics', { headers }))

    expect((await Promise.all(statuses)).map(({ status }) => status)).toEqual([200, 401])
  })

  it('cannot change anything from a page of another origin', async () => {
    const headers = { ...operator, 'x-cwm-tenant': 'acme', origin: 'https://evil.example' }

    expect((await ask(stack.url, '/cwm/v1/tenants/me', { method: 'DELETE', headers })).status).toBe(403)
  })
})

describe('the audit log', () => {
  it('records who did what, with outcome and figures, and no content', async () => {
    await freezeWindow('audited', acme)
    await askChat(stack.url, [user('where is it?')], { headers: { ...acme, 'x-cwm-window': 'audited' } })
    await ask(stack.url, '/cwm/v1/windows/absent', { method: 'DELETE', headers: acme })

    expect(await recorded(acme, 'freeze', 'audited')).toEqual({
      id: expect.any(String),
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      tenant: 'acme',
      actor: 'laptop',
      action: 'freeze',
      target: 'window',
      name: 'audited',
      outcome: 'ok',
      receipt: expect.objectContaining({ durability: 'l2', tokens: expect.any(Number), pinned: true }),
    })
    expect((await recorded(acme, 'thaw', 'audited')).receipt).toMatchObject({ restored_tokens: expect.any(Number) })
    expect((await recorded(acme, 'delete', 'absent')).outcome).toBe('window_not_found')
    const text = JSON.stringify(await auditOf(operator))
    for (const word of ['treasure', 'mill', 'where is it', 'sk-acme', 'cache_salt']) expect(text).not.toContain(word)
  })

  it('shows a tenant its own entries, and the operator all of them or those of one tenant', async () => {
    await freezeWindow('of-acme', acme)
    await freezeWindow('of-other', other)
    await recorded(operator, 'freeze', 'of-acme')
    await recorded(operator, 'freeze', 'of-other')
    const tenantsIn = async (headers: Record<string, string>) =>
      [...new Set((await auditOf(headers)).map(({ tenant }) => tenant))].sort()

    expect(await tenantsIn(operator)).toEqual(['acme', 'other'])
    expect(await tenantsIn({ ...operator, 'x-cwm-tenant': 'other' })).toEqual(['other'])
    expect(await tenantsIn(acme)).toEqual(['acme'])
    expect(await tenantsIn(other)).toEqual(['other'])
  })

  it('is paginated, newest first', async () => {
    const all = await auditOf(operator)
    const first = jsonOf<{ data: AuditEntryJson[]; next_cursor: string }>(
      await ask(stack.url, '/cwm/v1/audit?limit=2', { headers: operator }),
    )
    const rest = await auditOf(operator, `?cursor=${encodeURIComponent(first.next_cursor)}`)

    expect([...first.data, ...rest]).toEqual(all)
    expect(all.map(({ at }) => at)).toEqual(
      all
        .map(({ at }) => at)
        .sort()
        .reverse(),
    )
  })
})

it('the data directory contains no key of a tenant or the operator', async () => {
  const files = await readdir(stack.dataDir)
  const bytes = await Promise.all(files.map((file) => readFile(join(stack.dataDir, file))))

  expect(files).toContain('cwm.sqlite')
  for (const { authorization } of [acme, other, operator]) {
    expect(bytes.some((content) => content.includes(authorization.slice(7)))).toBe(false)
  }
})
