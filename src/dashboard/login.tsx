// Logging in and out, and for the operator: whose data to look at.

import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { RestError } from '../base/call-rest.ts'
import { StaticDocument } from '../base/static-document.ts'
import type { TenantJson } from '../wire/tenants.ts'
import type { Assets } from './assets.ts'
import type { App, Ctx } from './bindings.ts'
import { Field, Note } from './components.tsx'
import type { Identity } from './cookie.ts'
import { Document } from './document.tsx'
import { textOf } from './forms.ts'
import type { Logins } from './logins.ts'
import { HTML, htmlOf, sendStatic } from './static-pages.ts'
import { ALL_TENANTS, type Ask, LOGIN_COOKIE, TENANT_COOKIE, type Viewers } from './viewers.ts'

interface LoginRouteParts {
  readonly path: string
  readonly assets: Assets
  readonly logins: Logins
  readonly viewers: Viewers
}

const MAX_KEY_CHARACTERS = 1_024

export function mountLogin(app: App, { path, assets, logins, viewers }: LoginRouteParts): void {
  const page = async (refusal?: string) => <LoginPage assets={await assets.root()} refusal={refusal} />
  const empty = new StaticDocument(HTML, async () => await htmlOf(await page()))
  const cookieOptions = (c: Ctx) =>
    ({
      path,
      httpOnly: true,
      sameSite: 'Strict',
      secure: c.req.header('x-forwarded-proto') === 'https',
      maxAge: logins.maxAgeS,
    }) as const

  app.get('/login', (c) => sendStatic(c, empty))
  app.post('/login', async (c) => {
    const form = await c.req.parseBody()
    const [apiKey, tenant] = [textOf(form.api_key), textOf(form.tenant)]
    const checked = isKey(apiKey)
      ? await checkKey(viewers, c, { apiKey, ...(tenant === '' ? {} : { tenant }) })
      : { refusal: 'This is not a valid API key.' }
    if ('refusal' in checked) return c.html(await page(checked.refusal), 401)
    // A tenant that was chosen in an earlier login.
    if (getCookie(c, TENANT_COOKIE) !== undefined) deleteCookie(c, TENANT_COOKIE, { path })
    setCookie(c, LOGIN_COOKIE, logins.begin(checked.identity, checked.tenant), cookieOptions(c))
    return c.redirect(path, 303)
  })
  app.post('/logout', async (c) => {
    const cookie = getCookie(c, LOGIN_COOKIE)
    if (cookie !== undefined) await logins.end(cookie)
    for (const name of [LOGIN_COOKIE, TENANT_COOKIE]) deleteCookie(c, name, { path })
    return c.redirect(`${path}/login`, 303)
  })
  app.post('/tenant', async (c) => {
    const form = await c.req.parseBody()
    const [tenant, to] = [textOf(form.tenant), textOf(form.to)]
    const { identity, isOperator } = await viewers.of(c)
    if (!isOperator) throw new RestError(403, 'Only the operator can choose a tenant.')
    if (tenant !== '') await askTenant(viewers.askAs(c, identity, tenant))
    setCookie(c, TENANT_COOKIE, tenant === '' ? ALL_TENANTS : tenant, cookieOptions(c))
    return c.redirect(to.startsWith(`${path}/`) ? to : path, 303)
  })
}

const isKey = (text: string) => text !== '' && text.length <= MAX_KEY_CHARACTERS && /^[\x21-\x7e]+$/.test(text)

const askTenant = (ask: Ask) => ask<TenantJson>('GET', '/cwm/v1/tenants/me')

/** The login, and the tenant that it acts for; or why cwm rejects the key. */
async function checkKey(
  viewers: Viewers,
  c: Ctx,
  given: Identity,
): Promise<{ readonly identity: Identity; readonly tenant: string } | { readonly refusal: string }> {
  try {
    const { id } = await askTenant(viewers.askAs(c, given, given.tenant))
    // Only the operator's key may name a tenant.
    const identity: Identity = given.tenant === undefined ? given : { ...given, operator: true }
    return { identity, tenant: id }
  } catch (thrown) {
    if (!(thrown instanceof RestError) || thrown.status >= 500) throw thrown
    if (given.tenant === undefined && (await isOperator(viewers.askAs(c, given, undefined)))) {
      return { identity: { ...given, operator: true }, tenant: ALL_TENANTS }
    }
    return { refusal: thrown.message }
  }
}

async function isOperator(ask: Ask): Promise<boolean> {
  try {
    await ask('GET', '/cwm/v1/tenants?limit=1')
    return true
  } catch (thrown) {
    if (thrown instanceof RestError && thrown.status < 500) return false
    throw thrown
  }
}

function LoginPage({ assets, refusal }: { readonly assets: string; readonly refusal?: string | undefined }) {
  return (
    <Document title="Log in · cwm" assets={assets}>
      <main class="login">
        <h1>cwm</h1>
        {refusal === undefined ? null : <Note kind="bad">{refusal}</Note>}
        <form method="post" action="/cwm/ui/login">
          <Field name="api_key" label="API key" type="password" required />
          <Field name="tenant" label="Tenant" hint="Only with the operator’s key. Leave empty for all tenants." />
          <button type="submit" class="primary">
            Log in
          </button>
        </form>
        <p class="quiet">The key is kept for eight hours in an encrypted cookie that only these pages receive.</p>
      </main>
    </Document>
  )
}

/** Asks the operator whose data to show. `to`: the page that needs to know. */
export function ChooseTenant({ to }: { readonly to: string }) {
  return (
    <section class="card" aria-labelledby="choose-title">
      <h2 id="choose-title">Choose a tenant</h2>
      <p>
        This page shows the data of one tenant. Name it here, or choose it in <a href="/cwm/ui/tenants">Tenants</a>.
      </p>
      <form method="post" action="/cwm/ui/tenant">
        <input type="hidden" name="to" value={to} />
        <Field name="tenant" label="Tenant" required />
        <button type="submit" class="primary">
          Show
        </button>
      </form>
    </section>
  )
}
