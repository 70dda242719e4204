// The documentation of a built cwm over HTTP: every page is there, for everybody, compressed, and small.

import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { orderedPages } from '../../scripts/docs-site/page-list.mjs'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { ask } from '../support/client.ts'
import { type ServeProcess, startServe } from '../support/serve-process.ts'
import { startCwm } from '../support/stack.ts'

const NO_ENGINE = 'http://127.0.0.1:9'
const MAX_PACKED_BYTES = 1_000_000

let built: BuiltCwm
let cwm: ServeProcess
let url: string
beforeAll(async () => {
  built = await buildCwm()
  cwm = await startServe(built, { upstream: NO_ENGINE })
  url = await cwm.ready()
})
afterAll(async () => {
  await cwm?.dispose()
  await built?.dispose()
})

const get = (path: string, headers: Record<string, string> = {}) => ask(url, path, { headers })

/** Addresses under /cwm/docs/ that a page mentions, without anchors. */
const targetsOf = (html: string) =>
  [...html.matchAll(/ (?:href|src|content)="(\/cwm\/docs\/[^"#]*)/g)].map(([, target = '']) => target)

describe('the documentation', () => {
  it('answers on the address of each page, and of everything that a page links to or loads', async () => {
    const ordered = orderedPages().map(({ path }) => `/cwm/docs/${path}`)
    const answers = await Promise.all(ordered.map(async (path) => ({ path, ...(await get(path)) })))
    const linked = [...new Set(answers.flatMap(({ text }) => targetsOf(text)))]
    const missing = await Promise.all(linked.map(async (path) => ({ path, status: (await get(path)).status })))

    expect(answers.filter(({ status }) => status !== 200).map(({ path }) => path)).toEqual([])
    expect(linked.length).toBeGreaterThan(ordered.length)
    expect(missing.filter(({ status }) => status !== 200)).toEqual([])
  })

  it('has a CSP that allows nothing foreign and nothing inline', async () => {
    const { headers } = await get('/cwm/docs/security')

    expect(headers).toMatchObject({
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
  })

  it('is compressed for clients that accept it, and sent once', async () => {
    const plain = await get('/cwm/docs/configuration')
    const packed = await get('/cwm/docs/configuration', { 'accept-encoding': 'br;q=1, gzip;q=0.5' })
    const refused = await get('/cwm/docs/configuration', { 'accept-encoding': 'gzip;q=0' })
    const again = await get('/cwm/docs/configuration', {
      'accept-encoding': 'gzip',
      'if-none-match': `W/${packed.headers.etag}`,
    })

    expect(packed.headers).toMatchObject({
      'content-encoding': 'gzip',
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
    })
    expect(gunzipSync(packed.body).equals(plain.body)).toBe(true)
    expect(packed.body.length * 2).toBeLessThan(plain.body.length)
    expect(plain.headers['content-encoding']).toBeUndefined()
    expect(plain.headers.etag).not.toBe(packed.headers.etag)
    expect(refused.headers['content-encoding']).toBeUndefined()
    expect([again.status, again.body.length]).toEqual([304, 0])
  })

  it('may be kept indefinitely where the address changes with the content', async () => {
    const [script = ''] = targetsOf((await get('/cwm/docs/')).text).filter((path) => path.endsWith('/docs.js'))

    expect((await get(script)).headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
    })
  })

  it.each([
    ['/cwm/docs', '/cwm/docs/'],
    ['/cwm/docs/errors.md', '/cwm/docs/errors'],
    ['/cwm/docs/errors/', '/cwm/docs/errors'],
    ['/cwm/docs/decisions/README.md', '/cwm/docs/decisions'],
    ['/cwm/docs/README.md', '/cwm/docs/'],
  ])('redirects %s to %s', async (path, location) => {
    expect(await get(path)).toMatchObject({ status: 301, headers: { location } })
  })

  it.each(['/cwm/docs/none', '/cwm/docs/none.md', '/cwm/docs/..%2fpackage.json', '/cwm/docs/manifest.json'])(
    '%s is 404, as a page with the search',
    async (path) => {
      const { status, text } = await get(path)

      expect(status).toBe(404)
      expect(text).toContain('<h1>No such page</h1>')
      expect(text).toContain('id="query"')
    },
  )

  it('takes less than a megabyte of the package', () => {
    const folder = join(dirname(dirname(built.main)), 'docs')
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size)

    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_PACKED_BYTES)
  })
})

it('needs no key where tenants are listed', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'cwm-docs-'))
  const config = join(dataDir, 'cwm.yaml')
  await writeFile(
    config,
    JSON.stringify({ tenants: [{ id: 'acme', keys: [{ name: 'main', sha256: 'a'.repeat(64) }] }] }),
  )
  const listed = await startServe(built, { upstream: NO_ENGINE, dataDir, flags: { config } })
  const address = await listed.ready()
  const statuses = await Promise.all(['/cwm/docs/', '/cwm/v1/windows'].map((path) => ask(address, path)))
  await listed.dispose()

  expect(statuses.map(({ status }) => status)).toEqual([200, 401])
})

it('does not exist with dashboard: false', async () => {
  const without = await startCwm(NO_ENGINE, { dashboard: false })
  const got = await ask(without.url, '/cwm/docs/')
  await without.close()

  expect([got.status, got.headers['content-type']]).toEqual([404, 'application/json'])
})
