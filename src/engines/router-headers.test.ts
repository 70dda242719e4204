// What is done with each header by which a router or an engine places requests, without and with an affinity header.

import { describe, expect, it } from 'vitest'
import { namesWorker, sessionHeaders, withAffinity, withoutAffinity } from './router-headers.ts'
import { routerTable } from './router-table.ts'

const rule = withAffinity(new Set(['x-flow-key']))
const names = (of: 'session' | 'spreading' | 'steering' | 'rejected' | 'outranked' | 'answers') => [
  ...new Set(routerTable.flatMap((router) => router[of] ?? [])),
]

describe('a request header that', () => {
  it.each(names('steering'))('steers is removed always: %s', (name) => {
    expect([withoutAffinity(name), rule(name)]).toEqual(['removed', 'removed'])
  })

  it.each(names('rejected'))('no honest client sends is rejected always: %s', (name) => {
    expect([withoutAffinity(name), rule(name)]).toEqual(['rejected', 'rejected'])
  })

  it.each(names('session'))(
    'names a session is replaced without an affinity header, and removed with one: %s',
    (name) => {
      expect([withoutAffinity(name), sessionHeaders.has(name), rule(name)]).toEqual([undefined, true, 'removed'])
    },
  )

  it.each(names('spreading'))('only spreads requests is removed with an affinity header: %s', (name) => {
    expect([withoutAffinity(name), rule(name)]).toEqual([undefined, 'removed'])
  })

  it.each([
    'x-request-id',
    'x-correlation-id',
    'traceparent',
    'user-agent',
    'x-openwebui-chat-id',
    'x-litellm-session-id',
  ])('an affinity header outranks passes: %s', (name) => {
    expect([withoutAffinity(name), rule(name)]).toEqual([undefined, undefined])
  })

  it('cwm sets itself is removed, whatever it means elsewhere', () => {
    expect([withoutAffinity('x-flow-key'), rule('x-flow-key')]).toEqual([undefined, 'removed'])
    expect(withAffinity(new Set(['x-request-id']))('x-request-id')).toBe('removed')
  })

  it.each(['x-dynamo-of-tomorrow', 'x-llm-d-new', 'x-smg-a', 'x-sgl-a', 'x-aibrix-a', 'x-gateway-destination-a'])(
    'a later version of a router may read is removed: %s',
    (name) => {
      expect([withoutAffinity(name), rule(name)]).toEqual(['removed', 'removed'])
    },
  )
})

it.each([...names('answers'), 'x-dynamo-of-tomorrow'])(
  'an answer header that names a worker is recognized: %s',
  (name) => {
    expect(namesWorker(name)).toBe(true)
  },
)

it.each([
  'content-type',
  'x-request-id',
  'server-timing',
  'x-llm-d-request-dropped-reason',
  'x-envoy-upstream-service-time',
])('an answer header that names no worker passes: %s', (name) => {
  expect(namesWorker(name)).toBe(false)
})

it('each row of the table names its source, and no name has an upper case letter', () => {
  for (const router of routerTable) {
    expect(router.source).not.toBe('')
    const all = [router.session, router.spreading, router.steering, router.rejected, router.answers].flat()
    for (const name of all) expect(name).toBe(name?.toLowerCase())
  }
})
