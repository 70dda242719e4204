import { describe, expect, it } from 'vitest'
import { sessionKey } from '../base/ids.ts'
import { LiveSession } from './live-session.ts'
import { SessionCache } from './session-cache.ts'

function aSession(id: string) {
  const record = {
    tenant: 't',
    id,
    named: true,
    lineage: `l-${id}`,
    head: 0,
    spaces: [],
    createdAt: 1,
    lastTurnAt: 1,
    turns: 0,
  }
  return new LiveSession(record, { stored: true })
}

const ids = Array.from({ length: 100 }, (_, n) => `session-${n}`)

function filled(maxBytes: number): SessionCache {
  const cache = new SessionCache(maxBytes)
  for (const id of ids) cache.set(sessionKey('t', id), aSession(id))
  return cache
}

describe('sessions in memory', () => {
  it('are as many as their bytes allow, without the least recently used ones', () => {
    const kept = filled(10_000)
      .entries()
      .map(([, { record }]) => record.id)

    expect(kept.length).toBeGreaterThan(10)
    expect(kept.length).toBeLessThan(50)
    expect(kept).toEqual(ids.slice(-kept.length).reverse())
  })

  it('make room for a session that has grown', () => {
    const cache = filled(10_000)
    const before = cache.entries().length
    const key = sessionKey('t', 'session-99')
    const grown = cache.get(key)

    for (let n = 0; n < 20; n++) grown?.addSpace({ model: 'm'.repeat(100), kvEpoch: n })
    if (grown !== undefined) cache.weigh(key, grown)

    expect(cache.entries().length).toBeLessThan(before - 5)
    expect(cache.get(key)).toBe(grown)
  })

  it('do not return when they are weighed after they were dropped', () => {
    const cache = filled(10_000)
    const dropped = aSession('session-0')

    cache.weigh(sessionKey('t', 'session-0'), dropped)

    expect(cache.get(sessionKey('t', 'session-0'))).toBeUndefined()
  })
})
