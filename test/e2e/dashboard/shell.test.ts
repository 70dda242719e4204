// The frame around the tabs in a real Chromium: addresses that can be sent, "back", live updates, a hidden page, and the size of a visit.

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchBrowser, noBrowser, openPage, type Watched } from '../../support/browser.ts'
import { frozenSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const MAX_VISIT_BYTES = 75_000

describe.skipIf(noBrowser)('the shell', () => {
  let browser: Browser
  let stack: Stack
  let watched: Watched
  let page: Page
  beforeAll(async () => {
    browser = await launchBrowser()
    stack = await startStack()
    await frozenSession(stack.url, { session: 'ann', window: 'first' })
    await rest(stack.url, 'POST', '/windows/first/clone', { name: 'child', tags: ['law'] })
    for (let n = 10; n < 40; n++) await rest(stack.url, 'POST', '/windows/first/clone', { name: `copy-${n}` })
  }, 60_000)
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

  const visit = async (path: string) => {
    await page.goto(`${stack.url}/cwm/ui${path}`)
    await isLive()
  }
  const isLive = () => page.getByText('live', { exact: true }).waitFor()
  const address = () => page.url().slice(`${stack.url}/cwm/ui`.length)
  const dialog = () => page.getByRole('dialog')
  const names = () => page.locator('#windows tbody th .link').allInnerTexts()
  const link = (name: string) => page.getByRole('link', { name, exact: true }).first()

  it('has a tab and an address for each view, and "back" returns', async () => {
    await visit('')
    const tabs = await page.getByRole('navigation', { name: 'Tabs' }).getByRole('link').allInnerTexts()
    const seen: string[] = []
    for (const tab of ['Windows', 'Usage', 'Events']) {
      await page.getByRole('navigation', { name: 'Tabs' }).getByRole('link', { name: tab }).click()
      await page.getByRole('heading', { level: 1, name: tab }).waitFor()
      seen.push(address())
    }
    await page.goBack()

    expect(tabs).toEqual(expect.arrayContaining(['Overview', 'Sessions', 'Windows', 'Fleet', 'Usage', 'Events']))
    expect(tabs).not.toContain('Tenants')
    expect(seen).toEqual(['/windows', '/usage', '/events'])
    await page.getByRole('heading', { level: 1, name: 'Usage' }).waitFor()
    expect(address()).toBe('/usage')
  })

  it('opens a link to a filter as it was sent', async () => {
    await visit('/windows?search=c&tag=law')

    expect(await names()).toEqual(['child'])
    expect(await page.getByRole('search').getByLabel('Tag').inputValue()).toBe('law')
  })

  it('keeps the filter in the address, so that a reload and a link show the same', async () => {
    await visit('/windows')
    await page.getByRole('search').getByLabel('Tag').fill('law')
    await expect.poll(names).toEqual(['child'])
    await expect.poll(address).toBe('/windows?tag=law')
    await page.reload()

    expect(await names()).toEqual(['child'])
  })

  it('has an address for each page of a list, and "back" returns to the one before', async () => {
    await visit('/windows?sort=name&order=asc')
    const [first] = await names()
    await page.getByRole('link', { name: /^Next/ }).click()
    await expect.poll(async () => (await names())[0]).not.toBe(first)
    const second = (await names())[0]
    expect(address()).toContain('cursor=')
    await page.reload()
    expect((await names())[0]).toBe(second)
    await page.goBack()

    await expect.poll(async () => (await names())[0]).toBe(first)
    expect(address()).toBe('/windows?sort=name&order=asc')
  })

  it('opens details above the list, with an address of their own; "back" closes and "forward" opens them', async () => {
    await visit('/windows?tag=law')
    await link('child').click()
    await dialog().getByRole('heading', { name: 'child', exact: true }).waitFor()
    const opened = address()
    await dialog().getByRole('link', { name: 'first', exact: true }).click()
    await dialog().getByRole('heading', { name: 'first', exact: true }).waitFor()
    const parent = address()
    await page.goBack()
    await dialog().getByRole('heading', { name: 'child', exact: true }).waitFor()
    await page.goBack()
    await dialog().waitFor({ state: 'hidden' })
    const closed = address()
    await page.goForward()
    await dialog().getByRole('heading', { name: 'child', exact: true }).waitFor()
    await page.keyboard.press('Escape')
    await dialog().waitFor({ state: 'hidden' })

    expect([opened, parent, closed]).toEqual(['/windows/child', '/windows/first', '/windows?tag=law'])
    await expect.poll(address).toBe('/windows?tag=law')
  })

  it('shows details as a page of their own to whoever gets the link, with their actions', async () => {
    await visit('/windows/child')
    await page.getByRole('heading', { name: 'child', exact: true }).waitFor()
    await page.getByLabel('Clone name').fill('first')
    await page.getByRole('button', { name: 'Clone' }).click()
    const refusal = dialog().getByRole('alert')
    await refusal.waitFor()
    const words = await refusal.innerText()
    await page.keyboard.press('Escape')
    const kept = await page.getByLabel('Clone name').inputValue()
    await page.getByLabel('Clone name').fill('by-link')
    await page.getByRole('button', { name: 'Clone' }).click()
    await dialog().getByRole('heading', { name: 'Frozen: by-link' }).waitFor()
    await dialog().getByRole('button', { name: 'Done' }).click()

    expect([words, kept]).toEqual(['window first already exists; choose another name', 'first'])
    // The page is loaded again, so its family has the clone.
    await page.locator('.family').getByRole('link', { name: 'by-link' }).waitFor()
    await page.getByRole('link', { name: '← Windows' }).click()
    await page.getByRole('heading', { level: 1, name: 'Windows' }).waitFor()
  })

  it('opens details in a tab of their own with the control key', async () => {
    await visit('/windows?tag=law')
    const [other] = await Promise.all([
      watched.context.waitForEvent('page'),
      link('child').click({ modifiers: ['Control'] }),
    ])
    await other.getByRole('heading', { name: 'child', exact: true }).waitFor()

    expect(await dialog().isVisible()).toBe(false)
    expect(address()).toBe('/windows?tag=law')
  })

  it('says in the frame of the page what is not there', async () => {
    await page.goto(`${stack.url}/cwm/ui/windows/none`)

    expect(await page.getByRole('alert').filter({ visible: true }).innerText()).toContain('there is no window none')
    await page.getByRole('navigation', { name: 'Tabs' }).getByRole('link', { name: 'Windows' }).waitFor()
  })

  it('asks for nothing while it is hidden, and catches up when it is shown', async () => {
    await page.clock.install()
    await visit('/windows')
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    const refreshed = page.waitForResponse((response) => response.url().endsWith('/cwm/ui/windows'))
    await page.clock.fastForward(10_000)
    await refreshed
    const closed = page.waitForEvent('requestfailed', (request) => request.url().includes('/cwm/ui/live'))
    await page.evaluate(hide, true)
    await closed
    asked.length = 0
    await page.clock.fastForward(600_000)
    await rest(stack.url, 'POST', '/windows/first/clone', { name: 'while-hidden' })
    const askedHidden = [...asked]
    await page.evaluate(hide, false)

    await page.getByRole('link', { name: 'while-hidden' }).waitFor()
    expect(askedHidden).toEqual([])
    expect(asked).toEqual(expect.arrayContaining(['/cwm/ui/live', '/cwm/ui/windows']))
  })

  it('continues after the last event that it has seen', async () => {
    await visit('/events')
    await rest(stack.url, 'POST', '/windows/first/clone', { name: 'seen-live' })
    await page.locator('#events li').filter({ hasText: 'seen-live' }).waitFor()
    await page.evaluate(hide, true)
    await rest(stack.url, 'POST', '/windows/first/clone', { name: 'missed-hidden' })
    await page.evaluate(hide, false)

    await page.locator('#events li').filter({ hasText: 'missed-hidden' }).waitFor()
    expect(await page.locator('#events li').filter({ hasText: 'seen-live' }).count()).toBe(1)
  })

  it('opens one stream of events per page', async () => {
    const streams: string[] = []
    page.on('request', (request) => {
      if (request.resourceType() === 'eventsource') streams.push(request.url())
    })
    await visit('/events')

    expect(streams).toHaveLength(1)
  })

  it('is less than 75 KB on the wire for a first visit', async () => {
    const session = await watched.context.newCDPSession(page)
    await session.send('Network.enable')
    let bytes = 0
    session.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength
    })
    await visit('')
    await page.locator('#chart-requests canvas').waitFor()
    await page.waitForLoadState('load')
    console.log(`first visit: ${bytes} bytes`)

    expect(bytes).toBeGreaterThan(20_000)
    expect(bytes).toBeLessThan(MAX_VISIT_BYTES)
  })
})

/** As if another tab was chosen. Chromium without a screen never hides a page. Runs in the page. */
function hide(isHidden: boolean): void {
  const page = globalThis as unknown as { document: EventTarget }
  Object.defineProperty(page.document, 'hidden', { value: isHidden, configurable: true })
  page.document.dispatchEvent(new Event('visibilitychange'))
}
