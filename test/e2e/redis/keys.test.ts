// Two proxies on one Redis: an API key that is created or revoked at one is valid or invalid at the other, also while Redis is away.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, errorOf, type Got } from '../../support/client.ts'
import { askChat, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { listen } from '../../support/event-stream.ts'
import {
  asOperator,
  bearer,
  createKey,
  fileKey,
  listKeys,
  revokeKey,
  statusesOf,
  tenantSettings,
} from '../../support/keys.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { call, rest } from '../../support/rest.ts'

describe.skipIf(skipsRedis)('an API key that one of two proxies created', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet({ settings: tenantSettings })
  })
  afterEach(() => fleet?.close())

  const create = (name = 'ci') => createKey(fleet.a.url, { tenant: 'acme', name })

  it('is valid at the other at once, on the path of the engine and on REST', async () => {
    for (let n = 0; n < 5; n++) {
      const [one, two] = [await create(`one-${n}`), await create(`two-${n}`)]

      expect(await statusesOf(fleet.b.url, two.secret)).toEqual([200, 200])
      expect(await statusesOf(fleet.b.url, one.secret)).toEqual([200, 200])
    }
    expect((await listKeys(fleet.b.url, '?tenant=acme')).data).toHaveLength(11)
  })

  it('is rejected at the other soon after it was revoked, and its event stream there ends', async () => {
    const { id, secret } = await create()
    expect(await statusesOf(fleet.b.url, secret)).toEqual([200, 200])
    const stream = await listen(fleet.b.url, bearer(secret))

    await revokeKey(fleet.a.url, id)

    expect(await statusesOf(fleet.a.url, secret)).toEqual([401, 401])
    expect(await stream.ended()).toBe(true)
    expect(await statusesOf(fleet.b.url, secret)).toEqual([401, 401])
  })

  it('has one limit at both, which both show', async () => {
    const { secret } = await createKey(fleet.a.url, { tenant: 'acme', name: 'ci', requests_per_minute: 2 })
    const from = (url: string) => askChat(url, [user('hello')], { headers: bearer(secret) })

    const got = [await from(fleet.a.url), await from(fleet.b.url), await from(fleet.a.url), await from(fleet.b.url)]

    expect(got.map(({ status }) => status)).toEqual([200, 200, 429, 429])
    expect(got.map(({ headers }) => headers['x-ratelimit-limit-requests'])).toEqual(['2', '2', '2', '2'])
    expect((await listKeys(fleet.b.url, '?tenant=acme')).data[0]).toMatchObject({ requests_per_minute: 2 })
  })

  it('is rejected at the other within about a second if the message of its revocation is lost', async () => {
    const { id, secret } = await create()
    expect(await statusesOf(fleet.b.url, secret)).toEqual([200, 200])
    await fleet.redis.send('ACL', 'SETUSER', 'default', '-publish')
    await expect(fleet.redis.send('PUBLISH', 'any', 'word')).rejects.toThrow('NOPERM')
    const revokedAt = performance.now()

    await revokeKey(fleet.a.url, id)

    await until('the other rejects it', async () => (await statusesOf(fleet.b.url, secret))[0] === 401)
    expect(performance.now() - revokedAt).toBeLessThan(5_000)
    await fleet.redis.send('ACL', 'SETUSER', 'default', '+publish')
  })

  it('is one of 1,000 of its tenant at most, at whichever proxy they are created', async () => {
    const createAt = (n: number) => {
      const { url } = n % 2 === 0 ? fleet.a : fleet.b
      return call(url, 'POST', '/keys', { tenant: 'acme', name: `k${n}` }, asOperator)
    }
    const got: Got[] = []
    for (let n = 0; n < 1_020; n += 60) {
      got.push(...(await Promise.all(Array.from({ length: 60 }, (_, i) => createAt(n + i)))))
    }

    const refused = got.filter(({ status }) => status !== 201)
    expect(refused.map(({ status }) => status)).toEqual(Array(20).fill(403))
    expect(refused.map((one) => errorOf(one).code)).toEqual(Array(20).fill('quota_exceeded'))
    const { data } = await listKeys(fleet.b.url, '?tenant=acme&limit=1000')
    await revokeKey(fleet.a.url, data.find(({ id }) => id !== null)?.id ?? null)
    expect((await createAt(2_000)).status).toBe(201)
    expect((await call(fleet.b.url, 'POST', '/keys', { tenant: 'globex', name: 'own' }, asOperator)).status).toBe(201)
  }, 60_000)

  it('can be revoked at the other, which shows its last use', async () => {
    const { id, secret } = await create()
    await statusesOf(fleet.a.url, secret)
    await fleet.a.restart()

    expect(await revokeKey(fleet.b.url, id)).toMatchObject({ id, last_used_at: expect.stringMatching(/^20/) })
    await until('the first rejects it', async () => (await statusesOf(fleet.a.url, secret))[0] === 401)
  })

  it('goes with its tenant on both', async () => {
    const { secret } = await create()
    expect(await statusesOf(fleet.b.url, secret)).toEqual([200, 200])

    await rest(fleet.a.url, 'DELETE', '/tenants/me', undefined, bearer(secret))

    expect(await statusesOf(fleet.a.url, secret)).toEqual([401, 401])
    await until('the other rejects it', async () => (await statusesOf(fleet.b.url, secret))[0] === 401)
  })

  it('stays valid where it is known while Redis is away; unknown keys are told to retry, keys of the file are not affected', async () => {
    const known = await create('known')
    expect((await statusesOf(fleet.b.url, known.secret))[0]).toBe(200)
    fleet.hop.cut()
    const unknown = await create('unknown')
    const models = (key: string) => ask(fleet.b.url, '/v1/models', { headers: bearer(key) })

    const refused = await models(unknown.secret)

    expect([refused.status, errorOf(refused).code]).toEqual([503, 'store_unavailable'])
    expect([(await models(known.secret)).status, (await models(fileKey)).status]).toEqual([200, 200])
    fleet.hop.mend()
    await until('the other knows it', async () => (await models(unknown.secret)).status === 200)
  })

  it('is rejected once Redis is back if it was revoked meanwhile', async () => {
    const { id, secret } = await create()
    expect((await statusesOf(fleet.b.url, secret))[0]).toBe(200)
    fleet.hop.cut()

    await revokeKey(fleet.a.url, id)
    fleet.hop.mend()

    await until('the other rejects it', async () => (await statusesOf(fleet.b.url, secret))[0] === 401)
  })
})
