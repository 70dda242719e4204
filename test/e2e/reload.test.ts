// A reload of the settings: who is refused afterwards, what finishes, what is reported, and what a faulty file changes.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import type { AuditEntryJson } from '../../src/wire/audit.ts'
import type { PageJson } from '../../src/wire/lists.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { until } from '../support/deadline.ts'
import { listen } from '../support/event-stream.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { call, rest } from '../support/rest.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const KEYS = { leaving: 'sk-acme-leaving-0', staying: 'sk-acme-staying-0', operator: 'operator-0123456' }
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const listed = (...names: ('leaving' | 'staying')[]): NonNullable<Settings['tenants']> => [
  { id: 'acme', keys: names.map((name) => ({ name, sha256: keyHash(KEYS[name]) })) },
]
const both = { tenants: listed('leaving', 'staying'), operator_key: KEYS.operator }

const CHAT = '/v1/chat/completions'
const turn = { model: 'm', messages: [{ role: 'user', content: 'hi' }], stream: true }
const HALF = 'data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]}\n\n'
const REST_OF_IT = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

let upstream: FakeUpstream
let cwm: Cwm
let finish: () => void
beforeEach(async () => {
  upstream = await startFakeUpstream((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(HALF)
    finish = () => response.end(REST_OF_IT)
  })
  cwm = await startCwm(upstream.url, both)
})
afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const asOperator = bearer(KEYS.operator)
const reloadByRest = (headers: Record<string, string>) => call(cwm.url, 'POST', '/reload', {}, headers)
const listen401 = async (path: string, key: string) => (await ask(cwm.url, path, { headers: bearer(key) })).status

describe('a key that a reload removes', () => {
  it('is refused from the next request on, on every face, and other keys are not', async () => {
    const paths = ['/v1/models', '/cwm/v1/sessions', '/cwm/v1/events']
    for (const path of paths.slice(0, 2)) expect(await listen401(path, KEYS.leaving)).toBe(200)

    await cwm.reload({ tenants: listed('staying') })

    for (const path of paths) expect(await listen401(path, KEYS.leaving)).toBe(401)
    const mcp = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
    expect((await ask(cwm.url, '/cwm/mcp', { body: mcp, headers: bearer(KEYS.leaving) })).status).toBe(401)
    for (const path of paths.slice(0, 2)) expect(await listen401(path, KEYS.staying)).toBe(200)
  })

  it('finishes the answer that it has', async () => {
    let seen = ''
    const answer = ask(cwm.url, CHAT, {
      body: turn,
      headers: bearer(KEYS.leaving),
      onText: (text) => {
        seen += text
      },
    })
    await until('half of the answer', () => seen.includes('half'))

    await cwm.reload({ tenants: listed('staying') })
    expect((await ask(cwm.url, CHAT, { body: turn, headers: bearer(KEYS.leaving) })).status).toBe(401)
    finish()

    const { status, clean, text } = await answer
    expect([status, clean, text]).toEqual([200, true, HALF + REST_OF_IT])
  })

  it('ends its event streams, and those of the dashboard; others go on', async () => {
    const body = new URLSearchParams({ api_key: KEYS.leaving })
    const login = await fetch(`${cwm.url}/cwm/ui/login`, { method: 'POST', body, redirect: 'manual' })
    const cookie = String(login.headers.get('set-cookie')).split(';')[0] ?? ''
    let seen = ''
    const onText = (text: string) => {
      seen += text
    }
    const page = ask(cwm.url, '/cwm/ui/live', { headers: { cookie }, onText })
    const [leaving, staying] = [
      await listen(cwm.url, bearer(KEYS.leaving)),
      await listen(cwm.url, bearer(KEYS.staying)),
    ]
    await until('the stream of the dashboard begins', () => seen !== '')

    await cwm.reload({ tenants: listed('staying') })

    expect([await leaving.ended(), (await page).clean]).toEqual([true, true])
    const after = await ask(cwm.url, '/cwm/ui', { headers: { cookie } })
    expect([after.status, after.headers.location]).toEqual([303, '/cwm/ui/login'])
    await rest(cwm.url, 'PUT', '/tenants/me/near-limit', {}, bearer(KEYS.staying))
    staying.leave()
    expect(await staying.ended()).toBe(false)
  })

  it("ends the operator's event streams if it was the operator's", async () => {
    const stream = await listen(cwm.url, asOperator)

    await cwm.reload({ operator_key: 'operator-another-key' })

    expect(await stream.ended()).toBe(true)
  })
})

describe('a reload by REST', () => {
  it('reports what changed and what needs a restart, is counted, and is in the audit log of the operator only', async () => {
    cwm.prepare({ tenants: listed('staying'), max_windows: 3, port: 1, connections: 7 })

    const report = await reloadByRest(asOperator)

    expect(jsonOf(report)).toEqual({
      changed: ['tenants', 'max_windows'],
      needs_restart: ['port', 'connections'],
      keys_added: [],
      keys_removed: ['acme/leaving'],
    })
    const audit = await rest<PageJson<AuditEntryJson>>(cwm.url, 'GET', '/audit', undefined, asOperator)
    expect(audit.data[0]).toMatchObject({
      actor: 'operator',
      action: 'reload',
      target: 'settings',
      outcome: 'ok',
      receipt: { changed: 'tenants, max_windows', needs_restart: 'port, connections', keys_added: 0, keys_removed: 1 },
    })
    const own = await rest<PageJson<AuditEntryJson>>(cwm.url, 'GET', '/audit', undefined, bearer(KEYS.staying))
    expect(own.data).toEqual([])
    const metrics = (await ask(cwm.url, '/cwm/metrics', { headers: asOperator })).text
    expect(metrics).toContain('cwm_reloads_total{outcome="ok"} 1')
    const readAt = Number(/^cwm_settings_read_timestamp_seconds (\S+)$/m.exec(metrics)?.[1])
    expect(Math.abs(readAt - Date.now() / 1000)).toBeLessThan(60)
  })

  it('changes nothing if the settings have faults, and reports all of them', async () => {
    cwm.prepare({ tenants: listed('staying'), max_windows: -1, overflow: 'never' as 'pass' })

    const refusal = await reloadByRest(asOperator)

    expect([refusal.status, errorOf(refusal).code]).toEqual([422, 'invalid_settings'])
    expect(errorOf(refusal).message).toMatch(/max_windows.*overflow/s)
    expect(await listen401('/v1/models', KEYS.leaving)).toBe(200)
    const audit = await rest<PageJson<AuditEntryJson>>(cwm.url, 'GET', '/audit', undefined, asOperator)
    expect(audit.data[0]).toMatchObject({ action: 'reload', outcome: 'invalid_settings' })
    const metrics = (await ask(cwm.url, '/cwm/metrics', { headers: asOperator })).text
    expect(metrics).toContain('cwm_reloads_total{outcome="failed"} 1')
  })

  it.each([
    ['no key', {}],
    ["a tenant's key", bearer(KEYS.staying)],
    ["the operator's key with a tenant", { ...asOperator, 'x-cwm-tenant': 'acme' }],
  ])('is refused with %s', async (_, headers) => {
    expect((await reloadByRest(headers)).status).toBe(401)
  })

  // Without an operator key, metrics are open to this machine. Changes are not.
  it('is refused if no operator key is set', async () => {
    await cwm.reload({ operator_key: undefined, tenants: undefined })

    expect((await reloadByRest({})).status).toBe(401)
  })

  it('that is asked for again while it runs, runs once more', async () => {
    cwm.prepare({ max_windows: 3 })
    const first = reloadByRest(asOperator)
    const second = reloadByRest(asOperator)

    expect([(await first).status, (await second).status]).toEqual([200, 200])
  })
})
