// The dashboard with the operator's key in a real Chromium: all tenants, one of them, and the engines.

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import type { Settings } from '../../../src/config/schema.ts'
import type { EngineListJson } from '../../../src/wire/engines.ts'
import { viewsOf } from '../../support/axe.ts'
import { launchBrowser, noBrowser, openPage, type Watched } from '../../support/browser.ts'
import { call, frozenSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const keys = { acme: 'sk-acme-0123456789', other: 'sk-other-0123456789', operator: 'operator-0123456789' }
const tenants: NonNullable<Settings['tenants']> = [
  { id: 'acme', keys: [{ name: 'main', sha256: keyHash(keys.acme) }] },
  { id: 'other', keys: [{ name: 'main', sha256: keyHash(keys.other) }] },
]
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

describe.skipIf(noBrowser)('the operator', () => {
  let browser: Browser
  let stack: Stack
  let watched: Watched
  let page: Page
  beforeAll(async () => {
    browser = await launchBrowser()
    stack = await startStack({ settings: { tenants, operator_key: keys.operator } })
    for (const name of ['acme', 'other'] as const) {
      await frozenSession(stack.url, { session: name, window: `of-${name}`, headers: bearer(keys[name]) })
    }
  })
  afterAll(async () => {
    await browser?.close()
    await stack?.close()
  })
  beforeEach(async () => {
    watched = await openPage(browser)
    page = watched.page
  })
  afterEach(async () => {
    expect(watched.faults).toEqual([])
    await watched.context.close()
  })

  const logIn = async (on = page, key = keys.operator) => {
    await on.goto(`${stack.url}/cwm/ui/login`)
    await on.getByLabel('API key').fill(key)
    await on.getByRole('button', { name: 'Log in' }).click()
    await on.getByText('live', { exact: true }).waitFor()
  }
  const visit = async (path: string) => {
    await page.goto(`${stack.url}/cwm/ui${path}`)
    await page.getByText('live', { exact: true }).waitFor()
  }
  const tab = (name: string) => page.getByRole('navigation', { name: 'Tabs' }).getByRole('link', { name })

  it('sees the usage of all tenants without naming one', async () => {
    await logIn()
    const requests = await page.getByRole('figure').first().innerText()
    await tab('Usage').click()
    await page.getByRole('columnheader', { name: 'Tenant' }).waitFor()

    expect(requests).toContain('2 requests')
    expect(await page.locator('#usage tbody th').allInnerTexts()).toEqual(['acme', 'other'])
  })

  it('chooses a tenant from the list, sees its data, and goes back to all', async () => {
    await logIn()
    await tab('Tenants').click()
    await page.getByRole('button', { name: 'Show acme' }).click()
    await page.getByText('Operator, acme').waitFor()
    await tab('Windows').click()
    const names = await page.locator('#windows tbody th .link').allInnerTexts()
    await page.getByRole('button', { name: 'Show all tenants' }).click()
    await page.getByText('Operator, all tenants').waitFor()

    expect(names).toEqual(['of-acme'])
  })

  it('is asked for a tenant by a page that needs one, and then gets that page', async () => {
    await logIn()
    await visit('/windows/of-other')
    await page.getByRole('heading', { name: 'Choose a tenant' }).waitFor()
    await page.getByRole('textbox', { name: 'Tenant' }).fill('other')
    await page.getByRole('button', { name: 'Show', exact: true }).click()

    await page.getByRole('heading', { name: 'of-other', exact: true }).waitFor()
  })

  it('drains an engine after confirmation, and resumes it', async () => {
    const state = async () => {
      const { data } = await rest<EngineListJson>(stack.url, 'GET', '/engines', undefined, bearer(keys.operator))
      return data.map(({ drained_by }) => drained_by)
    }
    await logIn()
    await visit('/fleet')
    const row = await page.locator('#fleet tbody tr').innerText()
    await page.getByRole('button', { name: 'Drain…' }).click()
    await page.getByRole('heading', { name: /^Drain http/ }).waitFor()
    const before = await state()
    await page.getByRole('button', { name: 'Drain', exact: true }).click()
    await page.getByRole('heading', { name: /^Draining/ }).waitFor()
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByText('drained', { exact: true }).waitFor()
    const drained = await state()
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByRole('heading', { name: /^Resumed/ }).waitFor()

    expect(row).toMatch(/up\s+0\s+\d+\s+1\s+sim-model/)
    expect([before, drained, await state()]).toEqual([[null], ['operator'], [null]])
  })

  it('sees events of all tenants, with their names', async () => {
    await logIn()
    await visit('/events')
    await rest(stack.url, 'POST', '/windows', { name: 'by-other', session_id: 'other' }, bearer(keys.other))

    await page
      .locator('#events li')
      .filter({ hasText: /frozen by-other · session other · tenant other/ })
      .waitFor()
  })

  it('creates a key, whose secret is shown once, and revokes it after confirmation', async () => {
    const works = async (key: string) => (await call(stack.url, 'GET', '/tenants/me', undefined, bearer(key))).status
    await logIn()
    await visit('/keys')
    await page.getByRole('textbox', { name: 'Tenant' }).fill('acme')
    await page.getByRole('textbox', { name: 'Name' }).fill('ci')
    await page.getByLabel('Expires in days').fill('30')
    await page.getByRole('button', { name: 'Create key' }).click()
    await page.getByRole('heading', { name: 'Created: ci' }).waitFor()
    const secret = await page.getByRole('dialog').locator('code').innerText()
    const created = await works(secret)
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('button', { name: 'Revoke ci of acme' }).click()
    await page.getByRole('heading', { name: 'Revoke ci of acme?' }).waitFor()
    const shown = await page.content()
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await page.getByRole('heading', { name: 'Revoked: ci' }).waitFor()

    expect([created, await works(secret)]).toEqual([200, 401])
    expect(shown).not.toContain(secret)
    await page.getByRole('button', { name: 'Revoke ci of acme' }).waitFor({ state: 'detached' })
  })

  it('has pages that nobody else gets', async () => {
    await logIn(page, keys.acme)
    const answer = await page.goto(`${stack.url}/cwm/ui/tenants`)

    expect(answer?.status()).toBe(403)
    expect(await page.getByRole('alert').filter({ visible: true }).innerText()).toContain('requires the operator’s key')
    expect(await tab('Tenants').count()).toBe(0)
  })

  it('copies the id of a tenant', async () => {
    await watched.context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await logIn()
    await visit('/tenants')
    await page.getByRole('button', { name: 'Copy id acme' }).click()
    await page.getByText('Copied').waitFor()

    expect(await page.evaluate('navigator.clipboard.readText()')).toBe('acme')
  })

  it('has nothing that axe finds in both color schemes at three widths, and nothing wider than the screen', async () => {
    await logIn()
    const problemsOf = viewsOf(page)
    const problems: string[] = []
    const drain = '/fleet/drain?engine=http%3A%2F%2Fa'
    for (const path of ['', '/fleet', '/usage', '/tenants', '/keys', '/windows', drain]) {
      await visit(path)
      problems.push(...(await problemsOf(path)))
    }

    expect(problems).toEqual([])
  }, 120_000)
})
