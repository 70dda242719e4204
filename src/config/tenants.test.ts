// Tenants in the settings: what is accepted, what is rejected, and the resulting policies.

import { describe, expect, it } from 'vitest'
import { keyHash } from '../base/auth.ts'
import { CwmError } from '../base/errors.ts'
import { loadSettings } from './load.ts'
import { policiesOf } from './policies.ts'
import { type Settings, settingsSchema } from './schema.ts'

const upstream = 'http://127.0.0.1:8000'
const key = (text: string, name = 'main') => ({ name, sha256: keyHash(text) })

function parse(settings: Record<string, unknown>): Settings {
  return settingsSchema.parse({ upstream, ...settings })
}

/** The errors, one per line, without the heading. */
async function faults(settings: Record<string, unknown>): Promise<string[]> {
  try {
    await loadSettings({ flags: { upstream, ...settings }, environment: {}, file: undefined })
    return []
  } catch (thrown) {
    if (!(thrown instanceof CwmError) || thrown.code !== 'CONFIG') throw thrown
    return thrown.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
  }
}

describe('a list of tenants', () => {
  it('accepts several keys for one tenant, in either case of hex', () => {
    const { tenants } = parse({
      tenants: [{ id: 'acme', keys: [key('a'), { name: 'next', sha256: keyHash('b').toUpperCase() }] }],
    })

    expect(tenants?.[0]?.keys.map(({ sha256 }) => sha256)).toEqual([keyHash('a'), keyHash('b')])
  })

  it.each([
    ['a plain key as text', ['sk-in-clear']],
    ['a plain key in a field', [{ name: 'main', key: 'sk-in-clear' }]],
    ['a plain key for its hash', [{ name: 'main', sha256: 'sk-in-clear' }]],
    ['a plain key as a field', [{ name: 'main', sha256: keyHash('x'), 'sk-in-clear': true }]],
    ['a plain key instead of the list', 'sk-in-clear'],
  ])('rejects %s, says how to create a hash, and does not show it', async (_, keys) => {
    const told = (await faults({ tenants: [{ id: 'acme', keys }] })).join('\n')

    expect(told).toContain('tenants.0.keys')
    expect(told).toContain('cwm key')
    expect(told).not.toContain('sk-in-clear')
  })

  it.each(['', 'k-abc', 'anonymous', 'Acme', '-acme', 'a/b', 'a'.repeat(65)])('rejects the id %j', async (id) => {
    expect((await faults({ tenants: [{ id, keys: [key('a')] }] }))[0]).toMatch(/^tenants\.0\.id: /)
  })

  it('rejects duplicate ids, keys, and names of keys', async () => {
    const told = await faults({
      tenants: [
        { id: 'acme', keys: [key('a'), key('b')] },
        { id: 'acme', keys: [key('a')] },
      ],
    })

    expect(told.map((line) => line.split(':')[0])).toEqual([
      'tenants.0.keys.1.name',
      'tenants.1.id',
      'tenants.1.keys.0.sha256',
    ])
  })

  it.each([
    ['nobody', []],
    ['a tenant without a key', [{ id: 'acme', keys: [] }]],
    ['a tenant without any model', [{ id: 'acme', keys: [key('a')], models: [] }]],
    ['a misspelled right', [{ id: 'acme', keys: [key('a')], model: ['tiny'] }]],
  ])('rejects %s', async (_, tenants) => {
    expect(await faults({ tenants })).toHaveLength(1)
  })

  it("rejects the operator's key as a tenant's", async () => {
    const operator_key = 'the key of the operator'

    expect(await faults({ operator_key, tenants: [{ id: 'acme', keys: [key(operator_key)] }] })).toEqual([
      expect.stringMatching(/^operator_key: is also the key of a tenant/),
    ])
  })

  it('rejects the engine’s own key as the operator’s', async () => {
    const shared = 'one key for two who are not one'

    expect(await faults({ operator_key: shared, upstream_api_key: shared })).toEqual([
      expect.stringMatching(/^operator_key: is also the engine's key/),
    ])
  })
})

describe('policiesOf', () => {
  it('combines a tenant’s own entry with the defaults', () => {
    const { defaults, tenants } = policiesOf(
      parse({
        allowed_fields: ['Priority'],
        max_windows: 10,
        pin_ttl_ms: 1_000,
        tenants: [
          { id: 'acme', keys: [key('a')], models: ['tiny'], max_windows: 0, isolation: 'user', pin_ttl_ms: 0 },
          { id: 'other', keys: [key('b')], allowed_fields: [] },
        ],
      }),
    )

    const nearLimit = {
      overflow: 'pass',
      freezeAt: 0.75,
      rolloverTo: 0.5,
      keepFirst: 0,
      rolloverNote: false,
      maxAutoPerSession: 8,
      maxAutoWindows: 1000,
    }
    const shared = { whenPinsFull: 'reject', kvQuotaGb: 8, nearLimit }
    expect(defaults).toEqual({
      ...shared,
      allowedFields: new Set(['priority']),
      isolation: 'session',
      maxWindows: 10,
      pinTtlMs: 1_000,
    })
    expect(tenants?.map(({ policy }) => policy)).toEqual([
      {
        ...shared,
        models: new Set(['tiny']),
        allowedFields: new Set(['priority']),
        isolation: 'user',
        maxWindows: 0,
      },
      { ...defaults, allowedFields: new Set() },
    ])
  })

  it('lists no tenants if the settings list none', () => {
    expect(policiesOf(parse({})).tenants).toBeUndefined()
  })
})

describe('settings together', () => {
  it.each(['0.0.0.0', '::', '192.168.0.1', 'cwm.example', '127.evil.example'])(
    'reject access for everyone on %s',
    async (host) => {
      expect(await faults({ host })).toEqual([expect.stringMatching(/^host: would let in everyone .*any_key: true/)])
      expect(await faults({ host, any_key: true })).toEqual([])
      expect(await faults({ host, tenants: [{ id: 'acme', keys: [key('a')] }] })).toEqual([])
    },
  )

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('accept any key on %s', async (host) => {
    expect(await faults({ host })).toEqual([])
  })

  it('reject any_key if tenants are listed', async () => {
    expect(await faults({ any_key: true, tenants: [{ id: 'acme', keys: [key('a')] }] })).toEqual([
      expect.stringMatching(/^any_key: /),
    ])
  })

  it('require a secret for a Redis store, and never show its address', async () => {
    const store = 'rediss://user:hunter2@redis:6379/3'

    const told = await faults({ store })

    expect(told).toEqual([expect.stringMatching(/^secret: must be set \(CWM_SECRET\)/)])
    expect(told.join()).not.toContain('hunter2')
    expect(await faults({ store, secret: 'a secret of sixteen' })).toEqual([])
    expect((await faults({ store: 'rediss//user:hunter2@redis' })).join()).not.toContain('hunter2')
  })

  it.each(['redis', 'rediss', 'redis-cluster', 'rediss-cluster'])('accept a store at %s://', async (scheme) => {
    expect(await faults({ store: `${scheme}://redis:6379`, secret: 'a secret of sixteen' })).toEqual([])
  })

  it('are checked together even if single ones are invalid', async () => {
    const told = await faults({ host: '0.0.0.0', port: 'many', store: 'redis://redis', tenants: 'acme' })

    expect(told.map((line) => line.split(':')[0]).sort()).toEqual(['port', 'secret', 'tenants'])
  })
})

describe('encryption keys', () => {
  it.each([`${'0f'.repeat(32)}`, `${'A'.repeat(43)}=`, 'A'.repeat(43)])('accept %s', (encryption_key) => {
    expect(parse({ encryption_key, encryption_keys_old: `${encryption_key},${encryption_key}` })).toMatchObject({
      encryption_key,
      encryption_keys_old: [encryption_key, encryption_key],
    })
  })

  it('must be 32 bytes, and are never shown', async () => {
    const told = await faults({ encryption_key: 'hunter2', encryption_keys_old: ['hunter3'] })

    expect(told.map((line) => line.split(':')[0])).toEqual(['encryption_key', 'encryption_keys_old.0'])
    expect(told.join()).not.toContain('hunter')
  })
})
