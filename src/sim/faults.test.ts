import { describe, expect, it } from 'vitest'
import { Faults } from './faults.ts'

const action = { kind: 'reset' } as const

describe('faults', () => {
  it('affect one request by default', () => {
    const faults = new Faults()
    faults.add({ path: '/a', action })

    expect(faults.take('engine', 'GET', '/a')).toEqual(action)
    expect(faults.take('engine', 'GET', '/a')).toBeUndefined()
  })

  it('affect only their own server, method and path', () => {
    const faults = new Faults()
    faults.add({ server: 'lmcache', method: 'POST', path: '/cache/*', action })

    expect(faults.take('engine', 'POST', '/cache/clear')).toBeUndefined()
    expect(faults.take('lmcache', 'GET', '/cache/clear')).toBeUndefined()
    expect(faults.take('lmcache', 'POST', '/status')).toBeUndefined()
    expect(faults.take('lmcache', 'POST', '/cache/clear')).toEqual(action)
  })

  it('apply in the order they were added, one per request', () => {
    const faults = new Faults()
    const delay = { kind: 'delay', ms: 5 } as const
    faults.add({ path: '/a', action })
    faults.add({ path: '/a', action: delay })

    expect([faults.take('engine', 'GET', '/a'), faults.take('engine', 'GET', '/a')]).toEqual([action, delay])
  })

  it('are limited in number', () => {
    const faults = new Faults()
    for (let i = 0; i < 1000; i++) faults.add({ path: '/a', action })

    expect(() => faults.add({ path: '/a', action })).toThrow('1000')
  })
})
