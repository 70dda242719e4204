import { describe, expect, it } from 'vitest'
import { sharedL2Of, unknownServer } from './shared-l2.ts'
import type { L2AdapterFacts } from './topology.ts'

const server = (host: string, ...adapters: L2AdapterFacts[]) => ({
  url: `http://${host}:8080`,
  reachable: true,
  adapters,
})
const redis = (address: string): L2AdapterFacts => ({ type: 'resp', shared: false, address })
const disk: L2AdapterFacts = { type: 'fs', shared: false, address: undefined }
const nfs: L2AdapterFacts = { ...disk, shared: true }

describe('an L2 adapter is', () => {
  it('shared if every server reaches it at the same address', () => {
    expect(sharedL2Of([server('a', redis('redis:6379')), server('b', redis('redis:6379'))], null).get('resp')).toBe(
      true,
    )
  })

  it('private if the addresses differ, and loopback is an address of its own host', () => {
    const local = redis('127.0.0.1:6379')

    expect(sharedL2Of([server('a', redis('r1:6379')), server('b', redis('r2:6379'))], null).get('resp')).toBe(false)
    expect(sharedL2Of([server('a', local), server('b', local)], null).get('resp')).toBe(false)
    expect(sharedL2Of([server('127.0.0.1', local), server('127.0.0.1', local)], null).get('resp')).toBe(true)
  })

  it('shared without an address if every server declares it', () => {
    expect(sharedL2Of([server('a', nfs), server('b', nfs)], null).get('fs')).toBe(true)
    expect(sharedL2Of([server('a', nfs), server('b', disk)], null).get('fs')).toBeNull()
  })

  it('private if a server lacks it', () => {
    expect(sharedL2Of([server('a', nfs), server('b')], null).get('fs')).toBe(false)
  })

  it('unknown if nothing identifies its storage', () => {
    expect(sharedL2Of([server('a', disk), server('b', disk)], null).get('fs')).toBeNull()
  })

  it('unknown with a single server, or while a server that may differ does not answer', () => {
    const away = { url: 'http://b:8080', reachable: false, adapters: null }

    expect(sharedL2Of([server('a', redis('redis:6379'))], null).get('resp')).toBeNull()
    expect(sharedL2Of([server('a', redis('redis:6379')), away], null).get('resp')).toBeNull()
  })

  it('what the operator says', () => {
    expect(sharedL2Of([server('a', disk), server('b', disk)], true).get('fs')).toBe(true)
    expect(sharedL2Of([server('a', nfs), server('b', nfs)], false).get('fs')).toBe(false)
  })
})

it('an unknown instance id is reported with the ids that exist', () => {
  const topology = { servers: [{ instanceId: 'node-a' }] } as unknown as Parameters<typeof unknownServer>[1]

  expect(unknownServer('node-x', topology)).toBe(
    'no LMCache server has the instance id node-x: check lmcache_instance in the setting upstream (known are node-a)',
  )
})
