// Keys for tenants, and their entries in the settings.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeKey } from '../base/auth.ts'
import { loadSettings } from '../config/load.ts'
import { keyEntry } from './key.ts'

describe('cwm key', () => {
  it('generates a new key each time, of characters that a header can contain', () => {
    const keys = Array.from({ length: 100 }, makeKey)

    expect(new Set(keys).size).toBe(100)
    for (const key of keys) expect(key).toMatch(/^cwm-[A-Za-z0-9_-]{43}$/)
  })

  it('creates an entry that the settings file accepts', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cwm-key-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const file = join(folder, 'cwm.yaml')
    await writeFile(file, `tenants:\n- id: acme\n  keys:\n  ${keyEntry('main', 'the key')}\n`)

    const { tenants } = await loadSettings({ flags: { upstream: 'http://x' }, environment: {}, file })

    // printf 'the key' | sha256sum
    expect(tenants?.[0]?.keys).toEqual([
      { name: 'main', sha256: '3a0aac44832e55528a834fec737786c999e7b8dea8bd601bb59f195237d58b2e' },
    ])
  })
})
