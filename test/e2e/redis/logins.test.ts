// Two proxies on one Redis: a login to the dashboard that ends at one has ended at the other.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../../support/client.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'

describe.skipIf(skipsRedis)('a login that ended at one proxy', () => {
  let fleet: Fleet
  beforeAll(async () => {
    fleet = await startFleet()
  })
  afterAll(() => fleet?.close())

  it('is as none at the other', async () => {
    const { a, b } = fleet
    const body = new URLSearchParams({ api_key: 'sk-of-somebody' })
    const login = await fetch(`${a.url}/cwm/ui/login`, { method: 'POST', body, redirect: 'manual' })
    const cookie = String(login.headers.get('set-cookie')).split(';')[0] ?? ''
    const page = async () => (await ask(b.url, '/cwm/ui', { headers: { cookie } })).text
    expect(await page()).toContain('Log out')

    await ask(a.url, '/cwm/ui/logout', { method: 'POST', headers: { cookie } })

    expect(await page()).toContain('Use an API key')
  })
})
