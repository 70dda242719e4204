// Logins to the dashboard that somebody copied: what ends them.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import { ask } from '../../support/client.ts'
import { until } from '../../support/deadline.ts'
import { frozenSession } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const KEY = 'sk-acme-0123456789'
const listed = (id: string, key: string) => ({ id, keys: [{ name: 'main', sha256: keyHash(key) }] })
const tenants = [listed('acme', KEY), listed('other', 'sk-other-0123456789')]

let stack: Stack
beforeEach(async () => {
  stack = await startStack({ settings: { tenants } })
})
afterEach(() => stack.close())

async function logIn(): Promise<string> {
  const body = new URLSearchParams({ api_key: KEY })
  const { headers } = await fetch(`${stack.url}/cwm/ui/login`, { method: 'POST', body, redirect: 'manual' })
  return String(headers.get('set-cookie')).split(';')[0] ?? ''
}

const logOut = (cookie: string) => ask(stack.url, '/cwm/ui/logout', { method: 'POST', headers: { cookie } })
const see = async (cookie: string) => (await ask(stack.url, '/cwm/ui/windows', { headers: { cookie } })).status

describe('a cookie that was copied before the log out', () => {
  it('is as none afterwards, also after a restart, and other logins of the same key go on', async () => {
    const [copied, other] = [await logIn(), await logIn()]
    expect(await see(copied)).toBe(200)

    await logOut(copied)

    expect([await see(copied), await see(other)]).toEqual([303, 200])
    await stack.restart()
    expect([await see(copied), await see(other)]).toEqual([303, 200])
  })

  it('is as none even if its key was taken away meanwhile and given back', async () => {
    const copied = await logIn()
    await stack.restart({ tenants: tenants.slice(1) })
    await logOut(copied)
    await stack.restart({ tenants })

    expect(await see(copied)).toBe(303)
  })

  it('receives no further event on a stream that it opened', async () => {
    const copied = await logIn()
    let seen = ''
    const stream = ask(stack.url, '/cwm/ui/live', {
      headers: { cookie: copied },
      onText: (text) => {
        seen += text
      },
    })
    await until('the stream begins', () => seen.includes('events from now on'))

    await logOut(copied)
    await frozenSession(stack.url, { headers: { authorization: `Bearer ${KEY}` } })

    expect((await stream).text).not.toContain('event:')
  })
})
