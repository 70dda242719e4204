// The dashboard in a real Chromium: what it shows and does, used as people use it; and that it never violates its own CSP or accessibility
// rules.

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import type { Settings } from '../../../src/config/schema.ts'
import { viewsOf } from '../../support/axe.ts'
import { launchBrowser, noBrowser, openPage, type Watched } from '../../support/browser.ts'
import { chat, user } from '../../support/conversation.ts'
import { call, frozenSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

let browser: Browser
beforeAll(async () => {
  if (!noBrowser) browser = await launchBrowser()
}, 30_000)
afterAll(() => browser?.close())

describe.skipIf(noBrowser)('the dashboard', () => {
  let stack: Stack
  let watched: Watched
  let page: Page
  beforeAll(async () => {
    stack = await startStack()
    await frozenSession(stack.url, { session: 'ann', window: 'first' })
    await rest(stack.url, 'POST', '/windows/first/clone', { name: 'child', tags: ['law'] })
    await rest(stack.url, 'POST', '/windows/child/clone', { name: 'grandchild' })
  })
  afterAll(() => stack.close())
  beforeEach(async () => {
    watched = await openPage(browser)
    page = watched.page
    await page.goto(`${stack.url}/cwm/ui/windows`)
  })
  afterEach(async () => {
    expect(watched.faults).toEqual([])
    await watched.context.close()
  })

  const open = async (name: string) => {
    await page.getByRole('link', { name, exact: true }).first().click()
    await page.getByRole('heading', { name, exact: true }).waitFor()
  }
  const row = (name: string) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) })
  const visit = (tab: string) => page.goto(`${stack.url}/cwm/ui/${tab}`)
  const dialog = () => page.getByRole('dialog')

  it('shows sessions with a gauge of their context and freeze points, and windows with their health', async () => {
    await visit('sessions')
    const gauge = row('ann').getByRole('img')
    expect(await gauge.getAttribute('aria-label')).toMatch(
      /^[\d,]+ of 8,192 tokens, \d+%; 0 cached; auto-freeze point at 75%; windows: .*first at [\d,]+/,
    )
    await visit('windows')

    expect(await row('first').innerText()).toMatch(/frozen\s+[\d,]+ \(\d+%\)\s+L1 \d\/\d\s*L2 \d\/\d\s*pinned/)
    expect(await row('child').innerText()).toContain('of first')
    await page.getByText('Healthy').waitFor()
    await page.getByText('live', { exact: true }).waitFor()
  })

  it('freezes a session, with tags and a note, and shows the receipt', async () => {
    await visit('sessions')
    await open('ann')
    await dialog().getByLabel('Window name').fill('by-hand')
    await dialog().getByLabel('Tags').fill('law, old')
    await dialog().getByLabel('Note').fill('<b>kept</b>')
    await dialog().getByRole('button', { name: 'Freeze' }).click()
    await dialog().getByRole('heading', { name: 'Frozen: by-hand' }).waitFor()
    const receipt = await dialog().innerText()
    await dialog().getByRole('button', { name: 'Done' }).click()
    // Closing goes back in the browser's history, which takes a moment.
    await page.waitForURL('**/cwm/ui/sessions')
    await visit('windows')
    await row('by-hand').waitFor()
    await open('by-hand')

    expect(receipt).toMatch(/Tokens\s+[\d,]+\s+Restorable\s+[\d,]+ in \d+ chunks\s+Stored\s+behind memory/)
    expect(await dialog().innerText()).toContain('<b>kept</b>')
    expect(await rest(stack.url, 'GET', '/windows/by-hand')).toMatchObject({
      tags: ['law', 'old'],
      note: '<b>kept</b>',
    })
  })

  it('thaws into a session, and shows what was restored', async () => {
    await open('first')
    await dialog().getByLabel('Session').fill('eve')
    await dialog().getByRole('button', { name: 'Thaw into this session' }).click()
    await dialog().getByRole('heading', { name: 'Thawed: first' }).waitFor()

    expect(await dialog().innerText()).toMatch(/Session\s+eve\s+Restored\s+[\d,]+ of [\d,]+ tokens/)
    await visit('sessions')
    await row('eve').waitFor()
  })

  it('offers a new session first, and asks before replacing one with turns of its own', async () => {
    await chat(stack.url, [user('Hello')], { headers: { 'x-cwm-session': 'busy' } })
    await open('first')
    const offers = await dialog().getByRole('button', { name: /^Thaw/ }).allInnerTexts()
    await dialog().getByLabel('Session').fill('busy')
    await dialog().getByRole('button', { name: 'Thaw into this session' }).click()
    await dialog().getByRole('heading', { name: 'Replace the context of busy?' }).waitFor()
    const question = await dialog().innerText()
    const before = await rest<{ base_window?: string }>(stack.url, 'GET', '/sessions/busy')
    await dialog().getByRole('button', { name: 'Replace', exact: true }).click()
    await dialog().getByRole('heading', { name: 'Thawed: first' }).waitFor()

    expect(offers).toEqual(['Thaw into a new session', 'Thaw into this session'])
    expect(question).toMatch(/busy has 1 turn \(\d+ tokens\)\. Its next turn would start from first instead\./)
    expect(before.base_window).toBeUndefined()
    expect(await rest(stack.url, 'GET', '/sessions/busy')).toMatchObject({ base_window: 'first' })
  })

  it('clones a window, and shows its family', async () => {
    await open('child')
    const family = await dialog().locator('.family').innerText()
    await dialog().getByLabel('Clone name').fill('branch')
    await dialog().getByRole('button', { name: 'Clone' }).click()
    await dialog().getByRole('heading', { name: 'Frozen: branch' }).waitFor()

    expect(family.split('\n')).toEqual(['first', 'child', 'grandchild'])
    expect(await rest(stack.url, 'GET', '/windows/branch')).toMatchObject({ parent: 'child' })
  })

  it('deletes only after confirmation, and shows what is left', async () => {
    await rest(stack.url, 'POST', '/windows', { name: 'to-go', session_id: 'ann' })
    await row('to-go').waitFor()
    await open('to-go')
    await dialog().getByRole('button', { name: 'Delete window…' }).click()
    await dialog().getByRole('heading', { name: 'Delete to-go?' }).waitFor()
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    await rest(stack.url, 'GET', '/windows/to-go')
    await open('to-go')
    await dialog().getByRole('button', { name: 'Delete window…' }).click()
    await dialog().getByRole('button', { name: 'Delete', exact: true }).click()
    await dialog().getByRole('heading', { name: 'Deleted: to-go' }).waitFor()
    const receipt = await dialog().innerText()
    await dialog().getByRole('button', { name: 'Done' }).click()
    await row('to-go').waitFor({ state: 'detached' })

    expect(receipt).toMatch(/Chunks deleted\s+0\s+Chunks left\s+0\s+Chunks kept\s+\d for: session/)
  })

  it('says how many sessions are based on a window before it deletes it, and can end them', async () => {
    await rest(stack.url, 'POST', '/windows', { name: 'in-use', session_id: 'ann' })
    await rest(stack.url, 'POST', '/windows/in-use/thaw', { session_id: 'joe' })
    await row('in-use').waitFor()
    await open('in-use')
    await dialog().getByRole('button', { name: 'Delete window…' }).click()
    await dialog().getByRole('heading', { name: 'Delete in-use?' }).waitFor()
    const question = await dialog().innerText()
    await dialog().getByRole('button', { name: 'Delete and end sessions' }).click()
    await dialog().getByRole('heading', { name: 'Deleted: in-use' }).waitFor()
    await dialog().getByRole('button', { name: 'Done' }).click()
    await row('in-use').waitFor({ state: 'detached' })

    expect(question).toContain(
      '1 session based on this window will continue, and keep its text until the last one ends: joe',
    )
    expect((await call(stack.url, 'GET', '/sessions/joe')).status).toBe(404)
  })

  it('ends a session', async () => {
    await chat(stack.url, [user('Hello')], { headers: { 'x-cwm-session': 'short' } })
    await visit('sessions')
    await open('short')
    await dialog().getByRole('button', { name: 'End session…' }).click()
    await dialog().getByRole('button', { name: 'End', exact: true }).click()
    await dialog().getByRole('heading', { name: 'Ended: short' }).waitFor()
    await dialog().getByRole('button', { name: 'Done' }).click()

    await row('short').waitFor({ state: 'detached' })
  })

  it('shows an error next to the input, which stays', async () => {
    await open('first')
    await dialog().getByLabel('Clone name').fill('child')
    await dialog().getByRole('button', { name: 'Clone' }).click()
    const refusal = dialog().getByRole('alert')
    await refusal.waitFor()

    expect(await refusal.innerText()).toBe('window child already exists; choose another name')
    expect(await dialog().getByLabel('Clone name').inputValue()).toBe('child')
  })

  it('keeps the input when cwm is down, and when text is selected beyond the dialog', async () => {
    await open('first')
    const name = dialog().getByLabel('Clone name')
    await name.fill('typed')
    const box = await name.boundingBox()
    await page.mouse.move((box?.x ?? 0) + 20, (box?.y ?? 0) + 5)
    await page.mouse.down()
    await page.mouse.move(5, (box?.y ?? 0) + 5)
    await page.mouse.up()
    await watched.context.setOffline(true)
    await dialog().getByRole('button', { name: 'Clone' }).click()
    await dialog().getByRole('alert').filter({ hasText: 'cwm does not answer.' }).waitFor()
    const kept = await name.inputValue()
    await watched.context.setOffline(false)
    await page.mouse.click(5, 5)

    expect(kept).toBe('typed')
    await dialog().waitFor({ state: 'hidden' })
  })

  it('shows events from elsewhere live', async () => {
    await page.getByText('live', { exact: true }).waitFor()
    await rest(stack.url, 'POST', '/windows', { name: 'elsewhere', session_id: 'ann' })

    await row('elsewhere').waitFor()
    await visit('events')
    await page.getByText('live', { exact: true }).waitFor()
    await rest(stack.url, 'POST', '/windows', { name: 'elsewhere-2', session_id: 'ann' })
    await page
      .locator('#events li')
      .filter({ hasText: /frozen elsewhere-2 · session ann/ })
      .waitFor()
  })

  it('can be used by keyboard only', async () => {
    await row('first').getByRole('link').focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'first', exact: true }).waitFor()
    await expect.poll(() => page.evaluate('document.activeElement?.tagName')).toBe('H2')
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press('Tab')
      if ((await page.evaluate('document.activeElement?.id')) === 'field-name') break
    }
    await page.keyboard.type('by-keyboard')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Frozen: by-keyboard' }).waitFor()
    await page.keyboard.press('Escape')

    await dialog().waitFor({ state: 'hidden' })
    await row('by-keyboard').waitFor()
    expect(await page.evaluate('document.activeElement?.id')).toBe('window-first')
  })

  it('shows when cwm is down, and when it is back', async () => {
    await page.getByText('Healthy').waitFor()
    await watched.context.setOffline(true)
    await page.getByRole('link', { name: 'first', exact: true }).click()
    await page.getByText('cwm does not answer.').waitFor()
    await watched.context.setOffline(false)
    await open('first')

    await page.getByText('cwm does not answer.').waitFor({ state: 'hidden' })
  })

  it('has nothing that axe finds in both color schemes at three widths, and nothing wider than the screen', async () => {
    const problemsOf = viewsOf(page)
    const problems: string[] = []
    const check = async (state: string) => problems.push(...(await problemsOf(state)))
    for (const tab of ['', 'sessions', 'windows', 'events', 'windows/child', 'sessions/ann', 'windows/none']) {
      await visit(tab)
      await page.getByText('Healthy').waitFor()
      await check(tab)
    }
    for (const [tab, name] of Object.entries({ sessions: 'ann', windows: 'child' })) {
      await visit(tab)
      await open(name)
      await check(`${tab} dialog`)
    }
    await visit('login')
    await check('login')

    expect(problems).toEqual([])
  }, 120_000)
})

describe.skipIf(noBrowser)('the login', () => {
  const keys = { acme: 'sk-acme-0123456789', other: 'sk-other-0123456789', operator: 'operator-0123456789' }
  const tenants: NonNullable<Settings['tenants']> = [
    { id: 'acme', keys: [{ name: 'main', sha256: keyHash(keys.acme) }] },
    { id: 'other', keys: [{ name: 'main', sha256: keyHash(keys.other) }] },
  ]
  let stack: Stack
  let watched: Watched
  beforeAll(async () => {
    stack = await startStack({ settings: { tenants, operator_key: keys.operator } })
    await frozenSession(stack.url, {
      session: 'mine',
      window: 'mine',
      headers: { authorization: `Bearer ${keys.acme}` },
    })
  })
  afterAll(() => stack.close())
  beforeEach(async () => {
    watched = await openPage(browser)
    await watched.page.goto(`${stack.url}/cwm/`)
  })
  afterEach(() => watched.context.close())
  const mine = () => watched.page.getByRole('link', { name: 'mine', exact: true })
  const visitWindows = () => watched.page.goto(`${stack.url}/cwm/ui/windows`)

  const logIn = async (key: string, tenant = '') => {
    await watched.page.getByLabel('API key').fill(key)
    await watched.page.getByLabel('Tenant').fill(tenant)
    await watched.page.getByRole('button', { name: 'Log in' }).click()
  }
  const logInToWindows = async (key: string, tenant?: string) => {
    await logIn(key, tenant)
    await watched.page.getByRole('button', { name: 'Log out' }).waitFor()
    await visitWindows()
  }

  it('comes first, and rejects an unknown key', async () => {
    expect(watched.page.url()).toBe(`${stack.url}/cwm/ui/login`)
    await logIn('sk-nobody')
    await watched.page.getByRole('alert').waitFor()

    expect(await watched.page.getByRole('alert').innerText()).toContain('unknown API key')
    expect(await watched.context.cookies()).toEqual([])
  })

  it('shows a tenant its own data, keeps the key unreadable in the cookie, and can be ended', async () => {
    await logInToWindows(keys.acme)
    await mine().first().waitFor()
    const [cookie] = await watched.context.cookies()
    const sent = Buffer.from(String(cookie?.value), 'base64url').toString('latin1')
    await watched.page.getByRole('button', { name: 'Log out' }).click()
    await watched.page.getByLabel('API key').waitFor()

    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/cwm/ui' })
    expect(sent).not.toContain(keys.acme)
    expect(await watched.context.cookies()).toEqual([])
  })

  it('shows another tenant none of it', async () => {
    await logInToWindows(keys.other)
    await watched.page.getByText('No windows yet.').waitFor()

    expect(await mine().count()).toBe(0)
  })

  it('lets the operator act for a named tenant', async () => {
    await logInToWindows(keys.operator, 'acme')

    await mine().first().waitFor()
  })

  it('survives a restart, and ends when its key is removed', async () => {
    await logInToWindows(keys.acme)
    await mine().first().waitFor()
    const port = Number(new URL(stack.url).port)
    await stack.restart({ port })
    await watched.page.reload()
    await mine().first().waitFor()
    await stack.restart({ port, tenants: tenants.slice(1) })
    await watched.page.reload()

    await watched.page.getByLabel('API key').waitFor()
    await stack.restart({ port, tenants })
  })
})
