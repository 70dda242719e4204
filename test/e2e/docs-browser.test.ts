// The documentation in a real Chromium: search by keyboard, copying, the menu on a phone; and that it never violates its own CSP or
// accessibility rules.

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { viewsOf } from '../support/axe.ts'
import { launchBrowser, noBrowser, openPage, type Watched } from '../support/browser.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { type ServeProcess, startServe } from '../support/serve-process.ts'

describe.skipIf(noBrowser)('the documentation', () => {
  let browser: Browser
  let built: BuiltCwm
  let cwm: ServeProcess
  let url: string
  let watched: Watched | undefined
  beforeAll(async () => {
    browser = await launchBrowser()
    built = await buildCwm()
    cwm = await startServe(built, { upstream: 'http://127.0.0.1:9' })
    url = await cwm.ready()
  })
  afterAll(async () => {
    await browser?.close()
    await cwm?.dispose()
    await built?.dispose()
  })
  afterEach(async () => {
    const faults = watched?.faults
    await watched?.context.close()
    watched = undefined
    expect(faults).toEqual([])
  })

  /** Opens a page. Anything that it writes to the console is a fault. */
  const open = async (path: string, options: Parameters<typeof openPage>[1] = {}): Promise<Page> => {
    const opened = await openPage(browser, options)
    watched = opened
    opened.page.on('console', (message) => opened.faults.push(message.text()))
    await opened.page.goto(`${url}/cwm/docs/${path}`)
    return opened.page
  }
  const results = (page: Page) => page.getByRole('region', { name: 'Search results' })
  const search = async (page: Page, words: string) => {
    await page.keyboard.press('/')
    await page.keyboard.type(words)
    await results(page).getByRole('status').waitFor()
  }

  it('finds cache_salt by keyboard alone, and goes to the section', async () => {
    const page = await open('')
    await search(page, 'cache_salt')
    const marked = await results(page).locator('mark').first().innerText()
    await page.keyboard.press('ArrowDown')
    const target = String(await page.evaluate('document.activeElement.href'))
    await page.keyboard.press('Enter')
    await page.waitForURL(target)

    expect(marked).toBe('cache_salt')
    expect(target).toMatch(/\/cwm\/docs\/.+#.+/)
    await page.locator(new URL(target).hash).waitFor()
    expect(await page.locator('main').innerText()).toContain('cache_salt')
  })

  it('closes the results with Escape, and says when it finds nothing', async () => {
    const page = await open('errors')
    await search(page, 'zzz-nothing-has-this')
    const words = await results(page).innerText()
    await page.keyboard.press('Escape')

    expect(words).toBe('Nothing found')
    expect(await results(page).count()).toBe(0)
    expect(await page.evaluate('document.activeElement?.id')).toBe('query')
  })

  it('copies a command without its prompt', async () => {
    const page = await open('', { permissions: ['clipboard-read', 'clipboard-write'] })
    const block = page.locator('.code', { has: page.locator('[data-language=console]') }).first()
    await block.hover()
    await block.getByRole('button', { name: 'Copy' }).click()
    await block.getByRole('button', { name: 'Copied' }).waitFor()

    expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(/^(?!\$)\S+ /)
  })

  it('leads through the pages in order', async () => {
    const page = await open('')
    const current = page.getByRole('navigation', { name: 'Pages' }).locator('[aria-current=page]')
    const first = await current.innerText()
    await page.getByRole('link', { name: /^Next/ }).click()
    await page.waitForURL(/\/cwm\/docs\/.+/)
    const second = await current.innerText()
    await page.getByRole('link', { name: /^Previous/ }).click()
    await page.waitForURL(/\/cwm\/docs\/$/)

    expect(second).not.toBe(first)
    expect(await current.innerText()).toBe(first)
  })

  it('folds its menu away on a phone, and lets wide tables scroll there by keyboard', async () => {
    const page = await open('configuration', { viewport: { width: 390, height: 844 } })
    const menu = page.getByRole('button', { name: 'Menu' })
    const pages = page.getByRole('navigation', { name: 'Pages' })
    const before = await pages.count()
    await menu.click()
    await pages.waitFor()
    const table = page.locator('.scroll[tabindex="0"]').first()
    await table.waitFor()

    expect(before).toBe(0)
    expect(await menu.getAttribute('aria-expanded')).toBe('true')
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390)
  })

  it('can be read without its script', async () => {
    const page = await open('guides/chat-app', { javaScriptEnabled: false, viewport: { width: 390, height: 844 } })

    expect(await page.getByRole('navigation', { name: 'Pages' }).isVisible()).toBe(true)
    expect(await page.getByRole('main').innerText()).toContain('base URL')
  })

  it('violates no rule of accessibility in either color scheme at three widths, and is never wider than the screen', async () => {
    const page = await open('')
    const problemsOf = viewsOf(page)
    const problems = await problemsOf('')
    for (const path of ['guides/chat-app', 'dashboard', 'none']) {
      // The unknown page is a failed request, which browsers write to the console.
      await page.goto(`${url}/cwm/docs/${path}`)
      problems.push(...(await problemsOf(path)))
    }
    await page.goto(`${url}/cwm/docs/errors`)
    await search(page, 'limit')
    problems.push(...(await problemsOf('results')))
    if (watched !== undefined) removeNotFound(watched.faults)

    expect(problems).toEqual([])
  }, 120_000)
})

/** The console's note of the page that is not there. */
function removeNotFound(faults: string[]): void {
  const at = faults.findIndex((fault) => fault.includes('404'))
  if (at !== -1) faults.splice(at, 1)
}
