// The documentation under /cwm/docs/. It needs no key, because it contains nothing of any tenant, and is the same for everybody.

import { type Context, Hono } from 'hono'
import { CwmError } from '../base/errors.ts'
import { matches } from '../base/static-document.ts'
import { BuiltSite, type SiteEntry } from './built-site.ts'

const BASE = '/cwm/docs'

/** Nothing foreign, nothing inline; the search reads its index from here. */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
}

/** Pages are revalidated each time, because another version of cwm may answer the next request. */
const REVALIDATE = 'no-cache'
const IMMUTABLE = 'public, max-age=31536000, immutable'

export function createDocsSite(site = new BuiltSite()): Hono {
  const app = new Hono()
  app.get(BASE, (c) => c.redirect(`${BASE}/`, 301))
  app.get(`${BASE}/*`, async (c) => {
    try {
      const entry = await site.find(c.req.path)
      if (entry !== undefined) return await send(c, site, entry, 200)
      const better = betterAddress(c.req.path)
      if (better !== undefined && (await site.find(better)) !== undefined) return c.redirect(better, 301)
      return await send(c, site, await site.notFound(), 404)
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown
      throw new CwmError('UNKNOWN_PATH', 'the documentation was not built; run npm run build', { param: 'path' })
    }
  })
  return app
}

/** Addresses as files have them in the repository, and with a slash at the end. */
function betterAddress(path: string): string | undefined {
  const better = path.replace(/\/$/, '').replace(/(\/README)?\.md$/, '')
  if (better === path) return undefined
  return better === BASE ? `${BASE}/` : better
}

async function send(c: Context, site: BuiltSite, entry: SiteEntry, status: 200 | 404): Promise<Response> {
  const asStored = entry.gzip && acceptsGzip(c.req.header('accept-encoding') ?? '')
  const etag = `"${entry.etag}${asStored ? '-gzip' : ''}"`
  const headers = {
    ...HEADERS,
    etag,
    'cache-control': entry.immutable ? IMMUTABLE : REVALIDATE,
    ...(entry.gzip ? { vary: 'accept-encoding' } : {}),
  }
  if (status === 200 && matches(c.req.header('if-none-match') ?? '', etag)) return c.newResponse(null, 304, headers)
  const body = asStored ? await site.stored(entry) : await site.unpacked(entry)
  return c.newResponse(body, status, {
    ...headers,
    'content-type': entry.type,
    'content-length': String(body.length),
    ...(asStored ? { 'content-encoding': 'gzip' } : {}),
  })
}

/** RFC 9110, 12.5.3: a coding with quality 0 is not acceptable. */
function acceptsGzip(acceptEncoding: string): boolean {
  return acceptEncoding.split(',').some((one) => {
    const [coding = '', ...parameters] = one.split(';').map((part) => part.trim().toLowerCase())
    if (coding !== 'gzip' && coding !== '*') return false
    return !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

const isMissing = (thrown: unknown) => thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
