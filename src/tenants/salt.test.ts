// Salts and tenant ids: equal for equal parts, different otherwise, and nothing of the secret or a key shows.

import { describe, expect, it } from 'vitest'
import { KeyDeriver, type SaltParts } from './salt.ts'

const secret = Buffer.from('0123456789abcdef0123456789abcdef')
const parts: SaltParts = { tenant: 't', lineage: 'l', model: 'm', kvEpoch: 0, clientSalt: '' }

describe('KeyDeriver', () => {
  const deriver = new KeyDeriver(secret)

  it('derives salts that vLLM and file systems accept', () => {
    expect(deriver.salt(parts)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(deriver.salt(parts)).toBe(new KeyDeriver(Buffer.from(secret)).salt({ ...parts }))
  })

  it('derives another salt if any part or the secret differs', () => {
    const salts = [
      deriver.salt(parts),
      deriver.salt({ ...parts, tenant: 'u' }),
      deriver.salt({ ...parts, lineage: 'k' }),
      deriver.salt({ ...parts, model: 'n' }),
      deriver.salt({ ...parts, kvEpoch: 1 }),
      deriver.salt({ ...parts, clientSalt: 'mine' }),
      deriver.salt({ ...parts, tenant: 't","l', lineage: '' }),
      new KeyDeriver(Buffer.from('another secret')).salt(parts),
    ]

    expect(new Set(salts).size).toBe(salts.length)
  })

  it('derives tenant ids that reveal nothing of the key', () => {
    expect(deriver.tenant('sk-1')).toMatch(/^k-[A-Za-z0-9_-]{22}$/)
    expect(deriver.tenant('sk-1')).not.toBe(deriver.tenant('sk-2'))
    expect(deriver.tenant(undefined)).toBe('anonymous')
    expect(deriver.tenant('anonymous')).not.toBe('anonymous')
    expect(deriver.tenant('')).not.toBe('anonymous')
  })

  it('distinguishes secrets without revealing them', () => {
    expect(deriver.checkValue()).toBe(new KeyDeriver(Buffer.from(secret)).checkValue())
    expect(deriver.checkValue()).not.toBe(new KeyDeriver(Buffer.from('another')).checkValue())
    expect(JSON.stringify(deriver)).toBe('{}')
  })
})
