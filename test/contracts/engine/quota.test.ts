// Quotas of a salt. LMCache's servers and its coordinator keep them separately.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordedGroup } from '../../support/recorded.ts'
import { field, newSalt, openTarget, type Target } from './target.ts'

let target: Target

beforeAll(async () => {
  target = await openTarget()
})

afterAll(() => target?.close())

it.each(['lmcache', 'coordinator'] as const)('are set, read and removed at the %s', async (server) => {
  const path = `/quota/${newSalt()}`

  const set = await target.call(server, 'PUT', path, { limit_gb: 0.5 })
  const read = await target.call(server, 'GET', path)
  const removed = await target.call(server, 'DELETE', path)
  const again = await target.call(server, 'DELETE', path)

  expect(set.json).toMatchObject({ limit_gb: 0.5, status: 'ok' })
  expect(field(read.json, server === 'lmcache' ? 'limit_gb' : 'quota_limit_gb')).toBe(0.5)
  expect([field(removed.json, 'status'), field(again.json, 'status')]).toEqual(['removed', 'not_found'])
})

it("of a server differ from the coordinator's", async () => {
  const path = `/quota/${newSalt()}`

  await target.call('lmcache', 'PUT', path, { limit_gb: 1 })
  const read = await target.call('coordinator', 'GET', path)
  await target.call('lmcache', 'DELETE', path)

  expect(field(read.json, 'quota_exists')).toBe(false)
})

// A path cannot contain the empty salt, so LMCache replaces it by a word that is also a valid salt.
it('of the salt `_default` are those of the empty salt', async () => {
  await target.call('lmcache', 'PUT', '/quota/_default', { limit_gb: 1 })
  const listed = await target.call('lmcache', 'GET', '/quota')
  await target.call('lmcache', 'DELETE', '/quota/_default')

  expect(field(listed.json, 'users._default.limit_gb')).toBe(1)
})

describe('a server, as recorded', () => {
  const salt = newSalt()
  const exchanges = recordedGroup('lmcache-quota').filter(({ request }) => request.path.startsWith('/quota'))

  it.for(exchanges.map((exchange) => [exchange.name, exchange] as const))('%s', async ([, { request, response }]) => {
    const raw = typeof request.body === 'string' ? request.body : JSON.stringify(request.body)
    const body = request.body === null ? undefined : raw

    const reply = await target.call('lmcache', request.method, request.path.replace('saltA', salt), body)

    // The empty salt's usage depends on earlier users of this server.
    const said = reply.text
      .replaceAll(salt, 'saltA')
      .replace(/("_default":\s*\{[^}]*"current_usage_gb":\s*)[\d.e-]+/, '$10')
    expect([reply.status, reply.type, JSON.parse(said)]).toEqual([
      response.status,
      response.content_type,
      response.body,
    ])
  })
})
