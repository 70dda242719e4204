// Affinity keys: equal for work on the same KV, opaque, and independent of process and proxy.

import { describe, expect, it } from 'vitest'
import { keyOfNeed } from './affinity-key.ts'
import { KeyDeriver } from './salt.ts'

const secret = Buffer.from('0123456789abcdef0123456789abcdef')
const deriver = new KeyDeriver(secret)
const need = { tenant: 't', lineage: 'l', sessionId: 's', model: 'm' }

describe('the affinity key', () => {
  it('is header text of 43 characters, and reveals neither tenant, lineage nor session', () => {
    const key = keyOfNeed(deriver, 'lineage')({ ...need, tenant: 'acme', lineage: 'lineage-1', sessionId: 'session-1' })

    expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(key).not.toMatch(/acme|lineage|session/)
  })

  it('is the same after a restart and at another proxy with the same secret', () => {
    const restarted = new KeyDeriver(Buffer.from(secret))

    expect(keyOfNeed(restarted, 'lineage')({ ...need })).toBe(keyOfNeed(deriver, 'lineage')(need))
    expect(keyOfNeed(restarted, 'session')({ ...need })).toBe(keyOfNeed(deriver, 'session')(need))
  })

  it('by lineage is one for all sessions of a lineage, whatever the model', () => {
    const keyOf = keyOfNeed(deriver, 'lineage')

    expect(keyOf({ tenant: 't', lineage: 'l' })).toBe(keyOf(need))
    expect(keyOf({ ...need, sessionId: 'other', model: 'other' })).toBe(keyOf(need))
    expect(keyOf({ ...need, lineage: 'other' })).not.toBe(keyOf(need))
  })

  it('by session differs between the sessions of a lineage, and work without a session has the key of its lineage', () => {
    const keyOf = keyOfNeed(deriver, 'session')

    expect(keyOf({ ...need, sessionId: 'other' })).not.toBe(keyOf(need))
    expect(keyOf({ ...need, lineage: 'other' })).toBe(keyOf(need))
    expect(keyOf({ tenant: 't', lineage: 'l' })).toBe(keyOfNeed(deriver, 'lineage')(need))
  })

  it('of two tenants is never equal, nor is that of a session and a lineage with the same id', () => {
    const byLineage = keyOfNeed(deriver, 'lineage')
    const bySession = keyOfNeed(deriver, 'session')
    const same = { tenant: 't', lineage: 'x', sessionId: 'x' }

    const keys = [
      byLineage(same),
      bySession(same),
      byLineage({ ...same, tenant: 'u' }),
      bySession({ ...same, tenant: 'u' }),
      deriver.engineSession('t', 'x'),
    ]

    expect(new Set(keys).size).toBe(keys.length)
  })

  it('is undefined for work without a tenant or a lineage', () => {
    const keyOf = keyOfNeed(deriver, 'session')

    expect(keyOf({})).toBeUndefined()
    expect(keyOf({ tenant: 't', model: 'm' })).toBeUndefined()
    expect(keyOf({ lineage: 'l', sessionId: 's' })).toBeUndefined()
  })
})
