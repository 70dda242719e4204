// Access from other machines: nobody by default, listed tenants, or everyone if explicitly configured.

import { describe, expect, it, onTestFinished } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { loadSettings } from '../../src/config/load.ts'
import { ask } from '../support/client.ts'
import { startCwm } from '../support/stack.ts'

/** Nothing listens there, which is fine for these tests. */
const upstream = 'http://127.0.0.1:9'
const open = { host: '0.0.0.0' }

describe('beyond loopback', () => {
  it('cwm does not start without any_key or tenants', async () => {
    await expect(loadSettings({ flags: { upstream, ...open }, environment: {}, file: undefined })).rejects.toThrow(
      /host: would let in everyone who can reach the port: list tenants .*any_key: true/,
    )
  })

  it('starts with any_key, and accepts every key', async () => {
    const cwm = await startCwm(upstream, { ...open, any_key: true })
    onTestFinished(() => cwm.close())

    const headers = { authorization: 'Bearer whatever' }
    expect((await ask(localUrl(cwm.url), '/cwm/v1/windows', { headers })).status).toBe(200)
  })

  it('starts with tenants, and accepts nobody else', async () => {
    const tenants = [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash('sk-acme') }] }]
    const cwm = await startCwm(upstream, { ...open, tenants })
    onTestFinished(() => cwm.close())
    const status = async (key: string) =>
      (await ask(localUrl(cwm.url), '/cwm/v1/windows', { headers: { authorization: `Bearer ${key}` } })).status

    expect([await status('sk-acme'), await status('sk-other')]).toEqual([200, 401])
    expect(cwm.findings.join('\n')).toContain('1 tenant in the settings; other keys are rejected')
  })

  // Health is open: a load balancer has no key.
  it('reports its health to anyone, and nothing else', async () => {
    const tenants = [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash('sk-acme') }] }]
    const cwm = await startCwm(upstream, { ...open, tenants })
    onTestFinished(() => cwm.close())

    expect((await ask(localUrl(cwm.url), '/cwm/v1/health')).status).toBe(503)
    expect((await ask(localUrl(cwm.url), '/cwm/livez')).status).toBe(200)
    expect((await ask(localUrl(cwm.url), '/cwm/readyz')).status).toBe(200)
    expect((await ask(localUrl(cwm.url), '/cwm/v1/sessions')).status).toBe(401)
  })
})

function localUrl(url: string): string {
  return url.replace('0.0.0.0', '127.0.0.1')
}
