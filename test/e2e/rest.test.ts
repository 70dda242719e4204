// REST, health, and metrics, and who may read them.

import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { chat, user } from '../support/conversation.ts'
import { type Stack, startCwm, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack()
})

afterAll(() => stack.close())

interface OpenApi {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly responses: object
            readonly parameters?: readonly { readonly name: string; readonly in: string }[]
          }
        >
      >
    >
  >
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

describe('the OpenAPI document', () => {
  it('lists every route with its parameters', async () => {
    const document = jsonOf<OpenApi>(await ask(stack.url, '/cwm/openapi.json'))

    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    )
    expect(document.openapi).toMatch(/^3\.1/)
    expect(document.info.version).toMatch(/^\d+\.\d+\.\d+/)
    expect(listed.sort()).toEqual([
      'delete /cwm/v1/keys/{id}',
      'delete /cwm/v1/libraries/{name}',
      'delete /cwm/v1/sessions/{id}',
      'delete /cwm/v1/tenants/me',
      'delete /cwm/v1/windows/{name}',
      'get /cwm/livez',
      'get /cwm/readyz',
      'get /cwm/v1/audit',
      'get /cwm/v1/deletions',
      'get /cwm/v1/deletions/{id}',
      'get /cwm/v1/engines',
      'get /cwm/v1/events',
      'get /cwm/v1/health',
      'get /cwm/v1/keys',
      'get /cwm/v1/libraries',
      'get /cwm/v1/libraries/{name}',
      'get /cwm/v1/sessions',
      'get /cwm/v1/sessions/{id}',
      'get /cwm/v1/sessions/{id}/messages',
      'get /cwm/v1/tenants',
      'get /cwm/v1/tenants/me',
      'get /cwm/v1/tenants/me/near-limit',
      'get /cwm/v1/tenants/me/timeline',
      'get /cwm/v1/usage',
      'get /cwm/v1/windows',
      'get /cwm/v1/windows/{name}',
      'get /cwm/v1/windows/{name}/export',
      'get /cwm/v1/windows/{name}/messages',
      'patch /cwm/v1/windows/{name}',
      'post /cwm/v1/ask',
      'post /cwm/v1/engines/drain',
      'post /cwm/v1/engines/resume',
      'post /cwm/v1/keys',
      'post /cwm/v1/reload',
      'post /cwm/v1/sessions/match',
      'post /cwm/v1/windows',
      'post /cwm/v1/windows/bulk',
      'post /cwm/v1/windows/import',
      'post /cwm/v1/windows/{name}/ask',
      'post /cwm/v1/windows/{name}/clone',
      'post /cwm/v1/windows/{name}/thaw',
      'put /cwm/v1/libraries/{name}',
      'put /cwm/v1/tenants/me/near-limit',
      'put /cwm/v1/windows/{name}',
    ])
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining(['Error', 'Window', 'Session', 'FreezeReceipt', 'ThawReceipt', 'Health']),
    )
  })

  it('has no dangling references, and names each path parameter', async () => {
    const got = await ask(stack.url, '/cwm/openapi.json')
    const document = jsonOf<OpenApi>(got)

    const references = [...got.text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name ?? '',
    )
    for (const name of references) expect(document.components.schemas).toHaveProperty(name)
    for (const [path, methods] of Object.entries(document.paths)) {
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      for (const operation of Object.values(methods)) {
        const named = (operation.parameters ?? [])
          .filter((parameter) => parameter.in === 'path')
          .map((parameter) => parameter.name)
        expect([path, named]).toEqual([path, wanted])
        expect(Object.keys(operation.responses).length).toBeGreaterThan(0)
      }
    }
  })
})

describe('health', () => {
  it('is ok if everything answers', async () => {
    expect(jsonOf(await ask(stack.url, '/cwm/v1/health'))).toMatchObject({
      status: 'ok',
      store: { kind: 'sqlite', ok: true },
      upstream: { ok: true },
      lmcache: { ok: true, pins: true, warnings: [] },
    })
  })

  it('is 503 without the engine, and says why', async () => {
    await stack.sim.setOnline('engine', false)
    // Probes are at least a second apart.
    const later = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 1_000)
    const got = await ask(stack.url, '/cwm/v1/health')
    later.mockRestore()
    await stack.sim.setOnline('engine', true)

    expect(got.status).toBe(503)
    expect(jsonOf(got)).toMatchObject({ status: 'degraded', upstream: { ok: false, error: 'upstream_refused' } })
  })

  it('is degraded without LMCache, and still 200', async () => {
    const other = await startStack()
    try {
      await other.sim.setOnline('lmcache', false)
      await other.sim.setOnline('coordinator', false)
      await other.restart()

      const got = await ask(other.url, '/cwm/v1/health')

      expect([got.status, jsonOf(got)]).toMatchObject([200, { status: 'degraded', lmcache: { ok: false } }])
      expect(other.findings.join('\n')).toContain('lmcache   not ready')
    } finally {
      await other.close()
    }
  })

  it('names an LMCache server that died while its coordinator is up, and notices when it is back', async () => {
    const other = await startStack({ sim: { servers: 2 } })
    let seconds = 0
    const clock = vi.spyOn(Date, 'now')
    const start = performance.timeOrigin + performance.now()
    clock.mockImplementation(() => Math.floor(start) + seconds * 1_000)
    const health = async () => {
      seconds++
      return jsonOf(await ask(other.url, '/cwm/v1/health'))
    }
    try {
      const well = await health()
      await other.sim.setOnline('lmcache-2', false)
      const sick = await health()
      await other.sim.setOnline('lmcache-2', true)
      const again = await health()

      const both = (ok: boolean) => [{ ok: true }, { instance_id: 'node-b', url: other.sim.secondLmcacheUrl, ok }]
      expect(well).toMatchObject({
        status: 'ok',
        lmcache: { ok: true, coordinator: { ok: true }, servers: both(true) },
      })
      expect(sick).toMatchObject({
        status: 'degraded',
        lmcache: { ok: false, coordinator: { ok: true }, servers: both(false) },
      })
      expect(again).toMatchObject({ status: 'ok', lmcache: { ok: true, servers: both(true) } })
    } finally {
      clock.mockRestore()
      await other.close()
    }
  })

  it('names a coordinator that died while its LMCache servers are up, and a server that dies after it', async () => {
    const other = await startStack()
    let seconds = 0
    const clock = vi.spyOn(Date, 'now')
    const start = performance.timeOrigin + performance.now()
    clock.mockImplementation(() => Math.floor(start) + seconds * 1_000)
    const health = async () => {
      seconds++
      return jsonOf(await ask(other.url, '/cwm/v1/health'))
    }
    const { coordinatorUrl, lmcacheUrl } = other.sim
    const found = (ok: boolean) => ({
      status: 'degraded',
      lmcache: {
        ok: false,
        pins: false,
        warnings: [`LMCache's coordinator at ${coordinatorUrl} does not answer`],
        coordinator: { url: coordinatorUrl, ok: false },
        servers: [{ url: lmcacheUrl, ok }],
      },
    })
    try {
      await health()
      await other.sim.setOnline('coordinator', false)
      const [first, second] = [await health(), await health()]
      await other.sim.setOnline('lmcache', false)
      const both = await health()
      await other.sim.setOnline('lmcache', true)
      await other.sim.setOnline('coordinator', true)
      const again = await health()

      expect(first).toMatchObject(found(true))
      expect(second).toMatchObject(found(true))
      expect(both).toMatchObject(found(false))
      expect(again).toMatchObject({ lmcache: { coordinator: { ok: true }, servers: [{ ok: true }] } })
    } finally {
      clock.mockRestore()
      await other.close()
    }
  })

  it('is ok without LMCache if none is configured', async () => {
    const other = await startStack({ sim: { lmcache: false } })
    try {
      expect(jsonOf(await ask(other.url, '/cwm/v1/health'))).toMatchObject({ status: 'ok', lmcache: { ok: null } })
    } finally {
      await other.close()
    }
  })

  it('cwm starts without an engine, and serves once it is up', async () => {
    const other = await startStack()
    try {
      await other.sim.setOnline('engine', false)
      await other.restart()
      expect(other.findings.join('\n')).toContain('engine    not ready')

      await other.sim.setOnline('engine', true)

      expect((await chat(other.url, [user('hi')])).got.status).toBe(200)
    } finally {
      await other.close()
    }
  })
})

describe('metrics', () => {
  it('are readable from loopback if no operator key is set', async () => {
    await chat(stack.url, [user('count me')])

    const got = await ask(stack.url, '/cwm/metrics')

    expect(got.headers['content-type']).toContain('text/plain')
    expect(got.text).toMatch(
      /cwm_requests_total\{route="\/v1\/chat\/completions",status="200",model="sim-model"\} [1-9]/,
    )
    expect(got.text).toMatch(/cwm_sessions_total\{found="new"\} [1-9]/)
  })

  it('are not readable through another proxy', async () => {
    const got = await ask(stack.url, '/cwm/metrics', { headers: { 'x-forwarded-for': '10.0.0.1' } })

    expect([got.status, errorOf(got).code]).toEqual([401, 'unauthorized'])
  })

  it("require the operator's key if one is set", async () => {
    const other = await startCwm(stack.sim.engineUrl, { operator_key: 'the-operator-key-0' })
    try {
      const nobody = await ask(other.url, '/cwm/metrics')
      const tenant = await ask(other.url, '/cwm/metrics', { headers: { authorization: 'Bearer some-other-key-00' } })
      const operator = await ask(other.url, '/cwm/metrics', { headers: { authorization: 'Bearer the-operator-key-0' } })
      const windows = await ask(other.url, '/cwm/v1/windows', {
        headers: { authorization: 'Bearer the-operator-key-0' },
      })

      expect([nobody.status, tenant.status, operator.status, windows.status]).toEqual([401, 401, 200, 400])
    } finally {
      await other.close()
    }
  })

  it('contain no session, window, model path, or key', async () => {
    await chat(stack.url, [user('x')], {
      headers: { 'x-cwm-session': 'named-in-metrics', authorization: 'Bearer k-metrics', 'x-cwm-freeze': 'w-metrics' },
    })

    const { text } = await ask(stack.url, '/cwm/metrics')

    expect(text).not.toMatch(/named-in-metrics|k-metrics|w-metrics/)
  })
})

describe('lists', () => {
  it('page through the windows and sessions of one key, newest first, each once', async () => {
    const headers = { authorization: 'Bearer pager' }
    for (let i = 0; i < 5; i++) {
      await chat(stack.url, [user(`page ${i}`)], {
        headers: { ...headers, 'x-cwm-session': `p${i}`, 'x-cwm-freeze': `pw${i}` },
      })
      await settled(stack.url, `pw${i}`, headers)
    }
    const all = async (path: string, field: string) => {
      const found: unknown[] = []
      let cursor = ''
      for (let pages = 0; pages < 10; pages++) {
        const query = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
        const page = jsonOf<{ data: Record<string, unknown>[]; next_cursor?: string }>(
          await ask(stack.url, `${path}?limit=2${query}`, { headers }),
        )
        found.push(...page.data.map((item) => item[field]))
        if (page.next_cursor === undefined) break
        cursor = page.next_cursor
      }
      return found
    }

    expect(await all('/cwm/v1/windows', 'name')).toEqual(['pw4', 'pw3', 'pw2', 'pw1', 'pw0'])
    expect(await all('/cwm/v1/sessions', 'id')).toEqual(['p4', 'p3', 'p2', 'p1', 'p0'])
  })

  it('show a session with its usage and limit, but neither lineage nor salt', async () => {
    await chat(stack.url, [user('one')], { headers: { 'x-cwm-session': 'shown' } })
    const turn = await chat(stack.url, [user('two')], { headers: { 'x-cwm-session': 'shown' } })

    const got = await ask(stack.url, '/cwm/v1/sessions/shown')

    expect(jsonOf(got)).toMatchObject({
      id: 'shown',
      named: true,
      model: 'sim-model',
      dialect: 'chat',
      turns: 2,
      limit: 8192,
      freezable: true,
      usage: { prompt_tokens: turn.promptTokens },
    })
    expect(got.text).not.toMatch(/lineage|salt|tenant/)
  })

  it('an unnamed session that never got an answer leaves no trace', async () => {
    const headers = { authorization: 'Bearer traceless' }
    await ask(stack.url, '/v1/chat/completions', { body: { model: 'unknown-model', messages: [user('x')] }, headers })

    expect(jsonOf(await ask(stack.url, '/cwm/v1/sessions', { headers })).data).toEqual([])
  })

  it('the context header reports used tokens and limit', async () => {
    await chat(stack.url, [user('warm the models list')])
    const turn = await chat(stack.url, [user('one')])

    expect(turn.got.headers['x-cwm-context']).toMatch(/^\d+\/8192$/)
    expect(Number(String(turn.got.headers['x-cwm-context']).split('/')[0])).toBeGreaterThan(turn.promptTokens)
  })
})

describe('the context header of several choices', () => {
  const several = async (fields: object) => {
    const turn = await chat(stack.url, [user('one of several')], { body: { n: 3, temperature: 1, ...fields } })
    const [used = ''] = String(turn.got.headers['x-cwm-context']).split('/')
    return Number(used) - turn.promptTokens
  }

  it('counts the longest if one reached its token limit', async () => {
    await chat(stack.url, [user('warm the models list')])

    expect(await several({ max_tokens: 2 })).toBe(2)
  })

  it('counts the prompt only if each ended normally', async () => {
    await chat(stack.url, [user('warm the models list')])

    expect(await several({})).toBe(0)
  })
})

describe('a method that a path does not allow', () => {
  it.each([
    ['POST', '/cwm/v1/events', 'GET, HEAD'],
    ['DELETE', '/cwm/v1/events', 'GET, HEAD'],
    ['PATCH', '/cwm/v1/windows', 'GET, HEAD, POST'],
    ['POST', '/cwm/metrics', 'GET, HEAD'],
    ['POST', '/cwm/v1/sessions/some-session', 'GET, HEAD, DELETE'],
    ['OPTIONS', '/cwm/v1/health', 'GET, HEAD'],
  ])('%s %s is answered 405, with the allowed ones', async (method, path, allow) => {
    const got = await ask(stack.url, path, { method, headers: { 'content-type': 'text/plain' } })

    expect([got.status, got.headers.allow]).toEqual([405, allow])
    expect(errorOf(got)).toMatchObject({ code: 'method_not_allowed', param: 'method' })
  })

  it('does not hide an unknown path, which is 404 for every method', async () => {
    const got = await ask(stack.url, '/cwm/v1/nothing', { method: 'POST', headers: { 'content-type': 'text/plain' } })

    expect([got.status, got.headers.allow, errorOf(got).code]).toEqual([404, undefined, 'unknown_path'])
  })
})

describe('a content type without a body', () => {
  const json = { 'content-type': 'application/json' }

  it.each([
    ['GET', '/windows', 200, undefined],
    ['DELETE', '/windows/nobody', 404, 'window_not_found'],
    ['DELETE', '/sessions/nobody', 404, 'session_not_found'],
  ])('is not an error: %s %s', async (method, path, status, code) => {
    const got = await ask(stack.url, `/cwm/v1${path}`, { method, headers: json })

    expect(got.status).toBe(status)
    if (code !== undefined) expect(errorOf(got).code).toBe(code)
  })

  it.each([
    ['POST', '/windows'],
    ['POST', '/sessions/match'],
  ])('does not replace a required body: %s %s', async (method, path) => {
    const got = await ask(stack.url, `/cwm/v1${path}`, { method, headers: json })

    expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
  })
})

describe('pages of another origin', () => {
  it.each([
    ['another origin', { origin: 'http://evil.example' }, 403, 'origin'],
    ['a page in a sandbox', { origin: 'null' }, 403, 'origin'],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'content-type'],
    ['text', { 'content-type': 'text/plain' }, 415, 'content-type'],
  ])('cannot change anything: %s', async (_, headers, status, param) => {
    const got = await ask(stack.url, '/cwm/v1/windows', {
      body: '{"name":"a","session_id":"b"}',
      headers: { 'content-type': 'application/json', ...headers },
    })

    expect([got.status, errorOf(got).param]).toEqual([status, param])
  })

  it('of our own origin may', async () => {
    const got = await ask(stack.url, '/cwm/v1/windows', {
      body: { name: 'a', session_id: 'b' },
      headers: { origin: stack.url },
    })

    expect(got.status).toBe(404)
  })
})

describe('the Host header, while cwm listens on loopback', () => {
  const byHost = (host: string, path: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(stack.url)
      const request = httpRequest({ host: '127.0.0.1', port, path, headers: { host }, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      request.on('error', reject)
      request.end()
    })

  it.each(['/cwm/v1/sessions', '/v1/models', '/cwm/metrics'])('must be a loopback name: %s', async (path) => {
    expect(await byHost('evil.example', path)).toBe(403)
    expect(await byHost('evil.example:8787', path)).toBe(403)
    expect(await byHost('127.0.0.1.evil.example', path)).toBe(403)
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '[::1]:99']) expect(await byHost(host, path)).toBe(200)
  })

  it('may be one of allowed_hosts', async () => {
    const other = await startCwm(stack.sim.engineUrl, { allowed_hosts: ['cwm.test'] })
    try {
      const got = await ask(other.url, '/v1/models', { headers: { host: 'cwm.test:80' } })
      expect(got.status).toBe(200)
    } finally {
      await other.close()
    }
  })
})

describe('startup', () => {
  it('on a port in use fails with a clear message, and leaves nothing open', async () => {
    const { port } = new URL(stack.url)

    await expect(startCwm(stack.sim.engineUrl, { port: Number(port) })).rejects.toMatchObject({
      code: 'CONFIG',
      param: 'port',
    })
  })
})
