// The dashboard: security headers, errors, and what is mounted under `/cwm/ui`. Everything goes through REST as the logged-in user; there are
// no rules of its own.

import { Hono, type Next } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import { CwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { Logger } from '../base/logger.ts'
import { StaticDocument } from '../base/static-document.ts'
import { Assets } from './assets.ts'
import type { App, Bindings, Ctx } from './bindings.ts'
import { answerError } from './error-answers.tsx'
import type { Tab } from './layout.tsx'
import { mountLive } from './live-routes.tsx'
import { ChooseTenant, mountLogin } from './login.tsx'
import { type LoginParts, Logins } from './logins.ts'
import { Pages } from './pages.tsx'
import { restModel } from './rest-model.ts'
import { RestPage } from './rest-page.tsx'
import { HTML, htmlOf, sendStatic } from './static-pages.ts'
import { tabs } from './tabs.ts'
import { type RestCalls, Viewers } from './viewers.ts'

export interface DashboardParts extends LoginParts, RestCalls {
  /** REST's OpenAPI document, as JSON. */
  readonly openApi: () => string
  readonly log: Logger
}

const PATH = '/cwm/ui'

export function createDashboard(parts: DashboardParts): App {
  const { openApi, now, log } = parts
  const app = new Hono<Bindings>().basePath(PATH)
  const assets = new Assets()
  const logins = new Logins(parts)
  const viewers = new Viewers(logins, parts)
  const pages = new Pages({ assets, viewers, tabs, now })

  app.use(pageHeaders)
  app.use(async (c, next) => {
    await next()
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store')
  })
  app.onError((thrown, c) => answerError(thrown, c, { pages, tabs, log, path: PATH }))

  app.get('/assets/:hash/:name', async (c) => {
    const found = await assets.get(c.req.param('name'), c.req.header('accept-encoding'))
    if (found === undefined) return c.notFound()
    c.header('vary', 'accept-encoding')
    if (found.encoding !== undefined) c.header('content-encoding', found.encoding)
    return await sendStatic(c, found.document)
  })
  const rest = new StaticDocument(HTML, async () => {
    const model = restModel(JSON.parse(openApi()) as JsonObject)
    return await htmlOf(<RestPage assets={await assets.root()} model={model} />)
  })
  app.get('/rest', (c) => sendStatic(c, rest))
  mountLogin(app, { path: PATH, assets, logins, viewers })
  mountLive(app, { pages, viewers })
  for (const tab of tabs) {
    if (tab.scope === 'tenant') requireTenant(app, pages, tab)
    tab.mount(app, pages)
  }
  app.get('/:page{.+}', async (c) => {
    // Strangers are sent to the login instead.
    await pages.viewer(c)
    throw new CwmError('UNKNOWN_PATH', `The dashboard has no page ${c.req.path}.`)
  })
  return app
}

/** Asks an operator whose data to show, instead of failing in REST. */
function requireTenant(app: App, pages: Pages, { key, title, path }: Tab): void {
  const ask = async (c: Ctx, next: Next) => {
    const { isOperator, tenant } = await pages.viewer(c)
    if (!isOperator || tenant !== undefined) return await next()
    return await pages.show(c, { tab: key, title, body: <ChooseTenant to={c.req.path} /> })
  }
  for (const covered of path === '' ? ['/'] : [path, `${path}/*`]) app.use(covered, ask)
}

const pageHeaders = secureHeaders({
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
})
