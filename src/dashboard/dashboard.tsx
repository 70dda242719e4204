// The dashboard's routes. Everything goes through REST as the logged-in user; there are no rules of its own.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Context, Hono } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { secureHeaders } from 'hono/secure-headers'
import { askRest, type CallRest, RestError } from '../base/call-rest.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { Logger } from '../base/logger.ts'
import { StaticDocument } from '../base/static-document.ts'
import type { DeletionJson } from '../wire/deletions.ts'
import type { HealthJson } from '../wire/health.ts'
import type { ThawReceiptJson } from '../wire/receipts.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { TenantJson, TimelineJson } from '../wire/tenants.ts'
import type { CloneBody, FreezeBody, ThawBody, WindowJson } from '../wire/windows.ts'
import { Assets } from './assets.ts'
import type { Identity } from './cookie.ts'
import { type LoginParts, Logins, whileLoggedIn } from './logins.ts'
import { Dashboard, HealthState, Login, Summary } from './page.tsx'
import {
  readFamily,
  readFreezeAt,
  readSessions,
  readWindows,
  readWindowsOf,
  sessionApiPath,
  windowApiPath,
} from './queries.ts'
import { ConfirmDelete, ConfirmEnd, ConfirmReplace, Deleted, ErrorNotice, Frozen, Thawed } from './receipts.tsx'
import { restModel } from './rest-model.ts'
import { RestPage } from './rest-page.tsx'
import { SessionDetail } from './session-detail.tsx'
import { Sessions } from './sessions.tsx'
import { WindowDetail } from './window-detail.tsx'
import { type WindowFilter, Windows } from './windows.tsx'

interface Env {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}
/** `viewer`: who is logged in; absent until the request was identified. */
type Bindings = { Bindings: Env; Variables: { viewer?: Promise<Identity | undefined> } }
type Ctx = Context<Bindings>

export interface DashboardParts extends LoginParts {
  /** Calls REST as the sender of `env.incoming`. */
  readonly callRest: (env: Env) => CallRest
  /** The same, but returns the response unchanged. */
  readonly fetch: (request: Request, env: Env) => Response | Promise<Response>
  /** REST's OpenAPI document, as JSON. */
  readonly openApi: () => string
  readonly log: Logger
}

const HTML = 'text/html; charset=UTF-8'
const COOKIE = 'cwm_login'
const PATH = '/cwm/ui'
const MAX_KEY_CHARACTERS = 1_024

export function createDashboard(parts: DashboardParts): Hono<Bindings> {
  const { callRest, fetch, openApi, now, log } = parts
  const app = new Hono<Bindings>().basePath(PATH)
  const assets = new Assets()
  const logins = new Logins(parts)

  const findLogin = async (c: Ctx): Promise<Identity | undefined> => {
    const cookie = getCookie(c, COOKIE)
    return cookie === undefined ? undefined : await logins.find(cookie)
  }
  const viewerOf = (c: Ctx): Promise<Identity | undefined> => {
    const viewer = c.get('viewer') ?? findLogin(c)
    c.set('viewer', viewer)
    return viewer
  }
  const requester =
    (c: Ctx) =>
    async <T,>(method: Parameters<CallRest>[0], path: string, body?: object): Promise<T> =>
      await askRest<T>(callRest(actingAs(c.env, await viewerOf(c))), method, path, body, c.req.raw.signal)

  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
      },
      xFrameOptions: 'DENY',
      // With a stricter policy, browsers would not send the origin of posted forms.
      referrerPolicy: 'same-origin',
      // TLS is up to a proxy in front of cwm.
      strictTransportSecurity: false,
    }),
  )
  app.use(async (c, next) => {
    await next()
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store')
  })
  app.onError(async (thrown, c) => {
    const refusal = describeError(thrown)
    if (refusal.status === 500) log.error({ err: toCwmError(thrown) }, 'dashboard')
    if (refusal.status === 401) {
      if (c.req.header('hx-request') === undefined) return c.redirect(`${PATH}/login`, 303)
      return c.body(null, 401, { 'hx-redirect': `${PATH}/login` })
    }
    const above = c.req.method === 'POST'
    const headers = above ? { 'hx-retarget': '#dialog-error' } : undefined
    return c.html(<ErrorNotice message={refusal.message} above={above} />, refusal.status as 400, headers)
  })

  app.get('/assets/:hash/:name', async (c) => {
    const asset = await assets.get(c.req.param('name'))
    return asset === undefined ? c.notFound() : await send(c, asset)
  })

  const rest = new StaticDocument(HTML, async () => {
    const model = restModel(JSON.parse(openApi()) as JsonObject)
    return await htmlOf(<RestPage assets={await assets.root()} model={model} />)
  })
  app.get('/rest', (c) => send(c, rest))

  const login = new StaticDocument(HTML, async () => await htmlOf(<Login assets={await assets.root()} />))
  app.get('/login', (c) => send(c, login))
  app.post('/login', async (c) => {
    const form = await c.req.parseBody()
    const [apiKey, tenant] = [textOf(form.api_key), textOf(form.tenant)]
    const identity = { apiKey, ...(tenant === '' ? {} : { tenant }) }
    const checked =
      apiKey === '' || apiKey.length > MAX_KEY_CHARACTERS || !/^[\x21-\x7e]+$/.test(apiKey)
        ? { refusal: 'This is not a valid API key.' }
        : await checkKey(callRest(actingAs(c.env, identity)), c.req.raw.signal)
    if ('refusal' in checked) return c.html(<Login assets={await assets.root()} refusal={checked.refusal} />, 401)
    setCookie(c, COOKIE, logins.begin(identity, checked.tenant), {
      path: PATH,
      httpOnly: true,
      sameSite: 'Strict',
      secure: c.req.header('x-forwarded-proto') === 'https',
      maxAge: logins.maxAgeS,
    })
    return c.redirect(PATH, 303)
  })
  app.post('/logout', async (c) => {
    const cookie = getCookie(c, COOKIE)
    if (cookie !== undefined) await logins.end(cookie)
    deleteCookie(c, COOKIE, { path: PATH })
    return c.redirect(`${PATH}/login`, 303)
  })

  app.get('/', async (c) => {
    const ask = requester(c)
    const filter = filterOf(c)
    const [tenant, sessions, windows, root, loggedIn] = await Promise.all([
      ask<TenantJson>('GET', '/cwm/v1/tenants/me'),
      readSessions(ask, undefined),
      readWindows(ask, filter, undefined),
      assets.root(),
      viewerOf(c).then((viewer) => viewer !== undefined),
    ])
    return c.html(
      <Dashboard
        assets={root}
        tenant={tenant}
        loggedIn={loggedIn}
        filter={filter}
        sessions={{ ...sessions, cursor: undefined, now: now() }}
        windows={{ page: windows, cursor: undefined, filtered: isFiltered(filter), now: now() }}
      />,
    )
  })
  app.get('/summary', async (c) =>
    c.html(<Summary tenant={await requester(c)<TenantJson>('GET', '/cwm/v1/tenants/me')} />),
  )
  app.get('/health', async (c) => {
    // Needs no login, which could not be checked while the store is down.
    const rest = callRest(actingAs(c.env, undefined))
    const health = await askRest<HealthJson>(rest, 'GET', '/cwm/v1/health', undefined, c.req.raw.signal)
    return c.html(<HealthState health={health} />)
  })
  app.get('/timeline', async (c) => c.json(await requester(c)<TimelineJson>('GET', '/cwm/v1/tenants/me/timeline')))
  app.get('/events', async (c) => {
    // The operator receives the events of the tenant being viewed, not of all tenants.
    const headers = { 'last-event-id': c.req.header('last-event-id') ?? '' }
    const viewer = await viewerOf(c)
    const answer = await fetch(new Request('http://cwm/cwm/v1/events', { headers }), actingAs(c.env, viewer))
    if (viewer === undefined || answer.body === null) return new Response(answer.body, answer)
    const isEnded = async () => (await findLogin(c)) === undefined
    return new Response(whileLoggedIn(answer.body, isEnded), answer)
  })

  app.get('/sessions', async (c) => {
    const cursor = cursorOf(c)
    const sessions = await readSessions(requester(c), cursor)
    return c.html(<Sessions {...sessions} cursor={cursor} now={now()} />)
  })
  app.get('/sessions/:id', async (c) => {
    const ask = requester(c)
    const id = c.req.param('id')
    const [session, windows, freezeAt] = await Promise.all([
      ask<SessionJson>('GET', sessionApiPath(id)),
      readWindowsOf(ask, id),
      readFreezeAt(ask),
    ])
    return c.html(<SessionDetail session={session} windows={windows} freezeAt={freezeAt} now={now()} />)
  })
  app.get('/sessions/:id/end', (c) => c.html(<ConfirmEnd id={c.req.param('id')} />))
  app.post('/sessions/:id/end', async (c) => {
    const deletion = await requester(c)<DeletionJson>('DELETE', sessionApiPath(c.req.param('id')))
    return c.html(<Deleted deletion={deletion} />, 200, refreshLists)
  })

  app.get('/windows', async (c) => {
    const [filter, cursor] = [filterOf(c), cursorOf(c)]
    const page = await readWindows(requester(c), filter, cursor)
    return c.html(<Windows page={page} cursor={cursor} filtered={isFiltered(filter)} now={now()} />)
  })
  app.post('/windows', async (c) => {
    const form = await c.req.parseBody()
    const [note, tags] = [textOf(form.note), textOf(form.tags).split(/[\s,]+/)]
    const body: FreezeBody = {
      name: textOf(form.name),
      session_id: textOf(form.session_id),
      tags: tags.filter((tag) => tag !== ''),
      ...(note === '' ? {} : { note }),
    }
    return c.html(
      <Frozen window={await requester(c)<WindowJson>('POST', '/cwm/v1/windows', body)} />,
      200,
      refreshLists,
    )
  })
  app.get('/windows/:name', async (c) => {
    const ask = requester(c)
    const window = await ask<WindowJson>('GET', windowApiPath(c.req.param('name')))
    return c.html(<WindowDetail window={window} family={await readFamily(ask, window)} now={now()} />)
  })
  app.post('/windows/:name/thaw', async (c) => {
    const form = await c.req.parseBody()
    const [id, name] = [textOf(form.session_id), c.req.param('name')]
    const body: ThawBody = {
      ...(id === '' ? {} : { session_id: id }),
      ...(form.replace === 'true' ? { replace: true } : {}),
    }
    try {
      const receipt = await requester(c)<ThawReceiptJson>('POST', `${windowApiPath(name)}/thaw`, body)
      return c.html(<Thawed receipt={receipt} />, 200, refreshLists)
    } catch (thrown) {
      if (!(thrown instanceof RestError) || thrown.code !== 'session_has_turns') throw thrown
      const session = await requester(c)<SessionJson>('GET', sessionApiPath(id))
      return c.html(<ConfirmReplace window={name} session={session} />)
    }
  })
  app.post('/windows/:name/clone', async (c) => {
    const form = await c.req.parseBody()
    const at = textOf(form.at)
    const body: CloneBody = { name: textOf(form.name), ...(at === '' ? {} : { at: Number(at) }) }
    const clone = await requester(c)<WindowJson>('POST', `${windowApiPath(c.req.param('name'))}/clone`, body)
    return c.html(<Frozen window={clone} />, 200, refreshLists)
  })
  app.get('/windows/:name/delete', async (c) =>
    c.html(<ConfirmDelete window={await requester(c)<WindowJson>('GET', windowApiPath(c.req.param('name')))} />),
  )
  app.post('/windows/:name/delete', async (c) => {
    const query = (await c.req.parseBody()).sessions === 'end' ? '?sessions=end' : ''
    const deletion = await requester(c)<DeletionJson>('DELETE', `${windowApiPath(c.req.param('name'))}${query}`)
    return c.html(<Deleted deletion={deletion} />, 200, refreshLists)
  })
  return app
}

async function htmlOf(page: ReturnType<typeof Login>): Promise<string> {
  return String(await (await page).toString())
}

async function send(c: Ctx, document: StaticDocument): Promise<Response> {
  const { status, body, headers } = await document.answer(c.req.header('if-none-match'))
  return c.newResponse(body, status, headers)
}

/** Makes the page reload its lists behind the dialog. */
const refreshLists = { 'hx-trigger-after-settle': 'refresh' }

function filterOf(c: Ctx): WindowFilter {
  const parameter = (name: string, otherwise = '') => c.req.query(name) ?? otherwise
  return {
    search: parameter('search').trim(),
    tag: parameter('tag').trim(),
    state: parameter('state'),
    sort: parameter('sort', 'created'),
    order: parameter('order', 'desc'),
  }
}

const isFiltered = ({ search, tag, state }: WindowFilter) => `${search}${tag}${state}` !== ''

function cursorOf(c: Ctx): string | undefined {
  return c.req.query('cursor') || undefined
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim() : ''
}

/** The tenant that the caller acts for, or why cwm rejects its key. */
async function checkKey(
  rest: CallRest,
  signal: AbortSignal,
): Promise<{ readonly tenant: string } | { readonly refusal: string }> {
  try {
    return { tenant: (await askRest<TenantJson>(rest, 'GET', '/cwm/v1/tenants/me', undefined, signal)).id }
  } catch (thrown) {
    if (thrown instanceof RestError && thrown.status < 500) return { refusal: thrown.message }
    throw thrown
  }
}

function describeError(thrown: unknown): { readonly status: number; readonly message: string } {
  if (thrown instanceof RestError) return { status: thrown.status === 0 ? 503 : thrown.status, message: thrown.message }
  if (thrown instanceof CwmError) return thrown
  return { status: 500, message: 'internal error; see the log of cwm' }
}

/** The same request with the logged-in user's key. Credentials that the browser sent are ignored. */
function actingAs({ incoming, outgoing }: Env, identity: Identity | undefined): Env {
  const { authorization: _, 'x-api-key': __, 'x-cwm-tenant': ___, ...others } = incoming.headers
  const own = {
    ...(identity === undefined ? {} : { authorization: `Bearer ${identity.apiKey}` }),
    ...(identity?.tenant === undefined ? {} : { 'x-cwm-tenant': identity.tenant }),
  }
  const headers = { ...others, ...own }
  const rawHeaders = Object.entries(own).flat()
  const acting = Object.create(incoming, { headers: { value: headers }, rawHeaders: { value: rawHeaders } })
  return { incoming: acting as IncomingMessage, outgoing }
}
