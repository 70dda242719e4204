// The dashboard's routes without a browser: access, pages of other origins, escaping, and how to turn it off.

import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import { ask, type Got } from '../../support/client.ts'
import { call, frozenSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const form = (url: string, path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, { method: 'POST', body: new URLSearchParams(fields), headers, redirect: 'manual' })

describe('without keys', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack()
    await frozenSession(stack.url, { session: 'ann', window: 'first' })
  })
  afterAll(() => stack.close())

  const html = (path: string): Promise<Got> => ask(stack.url, path)

  it.each([
    ['/cwm', '/cwm/ui'],
    ['/cwm/', '/cwm/ui'],
    ['/cwm/ui/', '/cwm/ui'],
  ])('%s redirects to the page', async (path, location) => {
    expect((await html(path)).headers.location).toBe(location)
  })

  it('answers a mistyped address with a page, from which the tabs lead on', async () => {
    const { status, text, headers } = await html('/cwm/ui/widnows')

    expect(status).toBe(404)
    expect(headers['content-type']).toContain('text/html')
    expect(text).toContain('The dashboard has no page /cwm/ui/widnows.')
    expect(text).toContain('href="/cwm/ui/windows"')
  })

  it('sends pages with a CSP that allows nothing foreign and nothing inline, and forbids caching', async () => {
    const { headers, text } = await html('/cwm/ui')

    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    )
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
    })
    expect(text).not.toMatch(/<script>|style=|https?:\/\//)
  })

  it('escapes user input', async () => {
    await rest(stack.url, 'PATCH', '/windows/first', { note: '<script>alert(1)</script>', tags: ['"><img/src=x>'] })
    const [detail, list, search] = await Promise.all([
      html('/cwm/ui/windows/first'),
      html('/cwm/ui/windows'),
      html(`/cwm/ui/windows?search=${encodeURIComponent('"><script>x</script>')}`),
    ])
    await rest(stack.url, 'PATCH', '/windows/first', { note: '', tags: [] })

    expect(detail.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
    for (const { text } of [detail, list, search]) expect(text).not.toMatch(/<script>|<img/)
  })

  it.each([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' },
  ] as Record<string, string>[])('rejects forms from a page of another origin: %j', async (headers) => {
    const deleted = await form(stack.url, '/cwm/ui/windows/first/delete', {}, headers)
    const login = await form(stack.url, '/cwm/ui/login', { api_key: 'sk-1' }, headers)

    expect([deleted.status, login.status]).toEqual([403, 403])
    expect((await call(stack.url, 'GET', '/windows/first')).status).toBe(200)
  })

  it('accepts forms of its own origin', async () => {
    const answer = await form(stack.url, '/cwm/ui/windows/first/clone', { name: 'second' }, { origin: stack.url })

    expect(answer.status).toBe(200)
    expect(await answer.text()).toContain('Frozen: second')
  })

  it.each([
    ['/cwm/ui/windows/none', 404, 'there is no window none'],
    ['/cwm/ui/sessions/none', 404, 'there is no session none'],
    ['/cwm/ui/windows?sort=age', 400, 'sort'],
    ['/cwm/ui/windows?cursor=nonsense', 400, 'cursor'],
    ['/cwm/ui/assets/x/..%2fpackage.json', 404, ''],
    ['/cwm/ui/assets/x/package.json', 404, ''],
  ])('%s is %i', async (path, status, words) => {
    const got = await html(path)

    expect(got.status).toBe(status)
    expect(got.text).toContain(words)
  })

  it('shows an error on a page with a way on, and nothing to close', async () => {
    const { text } = await html('/cwm/ui/windows/none')

    expect(text).toMatch(/<h2[^>]*>Request failed<\/h2>.*<a href="\/cwm\/ui\/windows">Windows<\/a>/)
    expect(text).not.toContain('Done')
  })

  it('rejects a change of many without a selection, also if the page did not disable its buttons', async () => {
    const got = await form(stack.url, '/cwm/ui/windows/bulk', { action: 'pin' }, { 'hx-request': 'true' })

    expect(got.status).toBe(400)
    expect(got.headers.get('hx-retarget')).toBe('#dialog-error')
    expect(await got.text()).toContain('Select windows first, with the boxes in the list.')
  })

  it('shows an error in place of a list, which is asked for again with the next refresh', async () => {
    const path = '/cwm/ui/windows?cursor=nonsense'
    const got = await ask(stack.url, path, { headers: { 'hx-request': 'true', 'hx-target': 'windows' } })

    expect(got.status).toBe(400)
    expect(got.text).toMatch(
      /^<div id="windows" hx-get="\/cwm\/ui\/windows\?cursor=nonsense" hx-trigger="refresh from:body"/,
    )
    expect(got.text).toContain('This page tries again every ten seconds.')
  })

  it('lets browsers cache assets indefinitely, under an address that changes with them', async () => {
    const [path] = /\/cwm\/ui\/assets\/[0-9a-f]{12}\/htmx\.js/.exec((await html('/cwm/ui')).text) ?? []
    const { headers, status } = await html(String(path))

    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
    })
  })

  it.each([
    ['br', 'gzip, deflate, br', brotliDecompressSync],
    ['gzip', 'gzip, deflate', gunzipSync],
    ['gzip', 'br;q=0, gzip', gunzipSync],
    [undefined, 'identity', (body: Buffer) => body],
  ] as const)('sends assets as %s to clients that accept %s', async (encoding, accepted, open) => {
    const [path] = /\/cwm\/ui\/assets\/[0-9a-f]{12}\/htmx\.js/.exec((await html('/cwm/ui')).text) ?? []
    const plain = await html(String(path))
    const got = await ask(stack.url, String(path), { headers: { 'accept-encoding': accepted } })

    expect([got.headers['content-encoding'], got.headers.vary]).toEqual([encoding, 'accept-encoding'])
    expect(open(got.body).equals(plain.body)).toBe(true)
    if (encoding !== undefined) expect(got.body.length).toBeLessThan(plain.body.length / 2)
  })

  it('acts for the tenant of the logged-in key, whatever tenant the request names', async () => {
    const login = await form(stack.url, '/cwm/ui/login', { api_key: 'sk-of-somebody' }, { origin: stack.url })
    const cookie = String(login.headers.get('set-cookie')).split(';')[0] ?? ''
    const mine = await ask(stack.url, '/cwm/ui/windows', { headers: { cookie, authorization: 'Bearer other' } })
    const nobodys = await ask(stack.url, '/cwm/ui/windows', { headers: { authorization: 'Bearer other' } })

    expect(login.status).toBe(303)
    expect(login.headers.get('set-cookie')).toMatch(
      /^cwm_login=[\w-]+; Max-Age=28800; Path=\/cwm\/ui; HttpOnly; SameSite=Strict$/,
    )
    expect(mine.text).toContain('No windows yet')
    expect(nobodys.text).toContain('first')
  })
})

describe('with keys', () => {
  let stack: Stack
  beforeAll(async () => {
    const tenants = [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash('sk-acme-0123456789') }] }]
    stack = await startStack({ settings: { tenants } })
  })
  afterAll(() => stack.close())

  it.each(['/cwm/ui', '/cwm/ui/windows', '/cwm/ui/windows/x', '/cwm/ui/usage.csv'])(
    '%s redirects to the login without one',
    async (path) => {
      const page = await ask(stack.url, path)
      const part = await ask(stack.url, path, { headers: { 'hx-request': 'true' } })
      const forged = await ask(stack.url, path, {
        headers: { cookie: 'cwm_login=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
      })

      for (const got of [page, forged]) expect([got.status, got.headers.location]).toEqual([303, '/cwm/ui/login'])
      expect([part.status, part.headers['hx-redirect'], part.text]).toEqual([401, '/cwm/ui/login', ''])
    },
  )

  it('receives no events', async () => {
    expect((await ask(stack.url, '/cwm/ui/live')).status).toBe(401)
  })

  it.each(['', 'two words', 'ä', 'x'.repeat(2_000)])('%j is not a key', async (api_key) => {
    const answer = await form(stack.url, '/cwm/ui/login', { api_key }, { origin: stack.url })

    expect([answer.status, answer.headers.get('set-cookie')]).toEqual([401, null])
  })

  it('marks the cookie as secure if a proxy reports TLS', async () => {
    const answer = await form(
      stack.url,
      '/cwm/ui/login',
      { api_key: 'sk-acme-0123456789' },
      { 'x-forwarded-proto': 'https' },
    )

    expect(answer.headers.get('set-cookie')).toMatch(/; Secure/)
  })
})

it('does not exist with dashboard: false', async () => {
  const stack = await startStack({ settings: { dashboard: false } })
  const got = await Promise.all(['/cwm/', '/cwm/ui', '/cwm/ui/login'].map((path) => ask(stack.url, path)))
  await stack.close()

  expect(got.map(({ status }) => status)).toEqual([404, 404, 404])
})
