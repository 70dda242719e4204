// The tabs with figures in a real Chromium: charts of the ledger, the report of usage, the fleet and events, as a tenant sees them.

import { readFile } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { UsageJson } from '../../../src/wire/usage.ts'
import { viewsOf } from '../../support/axe.ts'
import { launchBrowser, noBrowser, openPage, type Watched } from '../../support/browser.ts'
import { chat, prose, user } from '../../support/conversation.ts'
import { frozenSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

describe.skipIf(noBrowser)('figures', () => {
  let browser: Browser
  let stack: Stack
  let watched: Watched
  let page: Page
  beforeAll(async () => {
    browser = await launchBrowser()
    stack = await startStack()
    await frozenSession(stack.url, { session: 'ann', window: 'first' })
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

  const visit = async (path: string) => {
    await page.goto(`${stack.url}/cwm/ui${path}`)
    await page.getByText('live', { exact: true }).waitFor()
  }
  const figure = (title: string) => page.getByRole('figure').filter({ has: page.getByRole('heading', { name: title }) })

  it('charts what the ledger counted, with units and a legend on each', async () => {
    const { data } = await rest<UsageJson>(stack.url, 'GET', '/usage')
    await visit('')
    await page.locator('#chart-price canvas').waitFor()

    expect(await page.getByRole('figure').getByRole('heading').allInnerTexts()).toEqual([
      'Requests per second',
      'Tokens per second',
      'Cached share of prompts',
      'Time to first token',
      'Longest wait in the queue',
      'Price of isolation',
    ])
    expect(await page.locator('.chart canvas').count()).toBe(6)
    expect(await figure('Requests per second').innerText()).toMatch(
      new RegExp(`${data[0]?.requests} requests?, 0 errors[\\s\\S]*All requests\\s+Errors`),
    )
    expect(await figure('Time to first token').innerText()).toMatch(/p50 \d+ ms, p95 \d+ ms[\s\S]*p50\s+p95/)
    expect(await figure('Cached share of prompts').innerText()).toMatch(/\d+%/)
  })

  it('names each minute of the time axis once, also shortly after a start', async () => {
    await page.addInitScript(`
      const { fillText } = CanvasRenderingContext2D.prototype
      globalThis.drawn = []
      CanvasRenderingContext2D.prototype.fillText = function (text, x, ...rest) {
        if (this.canvas.closest('#chart-requests') !== null && text.includes(':')) drawn.push([text, x])
        fillText.call(this, text, x, ...rest)
      }`)
    await visit('')
    await page.locator('#chart-price canvas').waitFor()

    const handle = await page.waitForFunction(() => {
      const { drawn } = globalThis as unknown as { drawn: readonly [string, number][] }
      return drawn.length > 0 && drawn
    })
    const drawn = (await handle.jsonValue()) as [string, number][]
    // Of the first drawing: the next one begins at the left again.
    const next = drawn.findIndex(([, x], n) => n > 0 && x <= (drawn[n - 1]?.[1] ?? 0))
    const minutes = (next === -1 ? drawn : drawn.slice(0, next)).map(([text]) => text)
    expect(minutes).toEqual([...new Set(minutes)])
  })

  it('shows a new request without a reload, and keeps the chart', async () => {
    await visit('')
    await page.locator('#chart-requests canvas').evaluate((canvas) => {
      ;(canvas as unknown as { marked: boolean }).marked = true
    })
    const before = await figure('Requests per second').locator('output').first().innerText()
    await chat(stack.url, [user(prose(20))], { headers: { 'x-cwm-session': 'new' } })
    await rest(stack.url, 'POST', '/windows', { name: 'after', session_id: 'new' })

    await expect
      .poll(() => figure('Requests per second').locator('output').first().innerText(), { timeout: 5_000 })
      .not.toBe(before)
    expect(
      await page
        .locator('#chart-requests canvas')
        .evaluate((canvas) => (canvas as unknown as { marked?: boolean }).marked),
    ).toBe(true)
  })

  it('shows the last day at an address of its own', async () => {
    await visit('')
    await page.getByRole('link', { name: 'Last day' }).click()
    await page.locator('#span-day[aria-current]').waitFor()
    const day = page.url()
    await page.goBack()
    await page.locator('#span-hour[aria-current]').waitFor()

    expect(day).toBe(`${stack.url}/cwm/ui?span=day`)
  })

  it('says "no data" where nothing was counted', async () => {
    const empty = await startStack()
    await page.goto(`${empty.url}/cwm/ui`)
    await page.locator('#chart-price canvas').waitFor()
    const totals = await page.getByRole('figure').locator('figcaption output').allInnerTexts()
    await empty.close()

    expect(totals).toEqual(['0 requests, 0 errors', ...Array.from({ length: 5 }, () => 'no data')])
  })

  it('reports usage by key, model and day, with totals, and as CSV', async () => {
    await visit('/usage')
    await page.getByRole('checkbox', { name: 'Day' }).check()
    await page.getByRole('columnheader', { name: 'Day' }).waitFor()
    const { data } = await rest<UsageJson>(stack.url, 'GET', '/usage?by=day,key,model')
    const rows = await page.locator('#usage tbody tr').count()
    const total = await page.locator('#usage tfoot').innerText()
    const saved = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Download CSV' }).click()
    const csv = await readFile(await (await saved).path(), 'utf8')

    expect(page.url()).toContain('span=day&by=day&by=key&by=model')
    expect(rows).toBe(data.length)
    expect(total).toMatch(/^Total\s/)
    expect(total).toContain(
      data.reduce((sum, { prompt_tokens }) => sum + (prompt_tokens ?? 0), 0).toLocaleString('en-US'),
    )
    expect((await saved).suggestedFilename()).toBe('cwm-usage.csv')
    expect(csv).toMatch(/^at,key,model,requests,errors,/)
    expect(csv.trim().split('\r\n')).toHaveLength(data.length + 1)
  })

  it('shows a tenant what answers, and no engine', async () => {
    await visit('/fleet')

    expect(await page.locator('#fleet').innerText()).toMatch(/Store\s+answers \(sqlite\)[\s\S]*LMCache\s+answers/)
    expect(await page.getByRole('button', { name: 'Drain…' }).count()).toBe(0)
    expect(await page.content()).not.toContain(stack.sim.engineUrl)
  })

  it('lists events live, and filters them by kind', async () => {
    await visit('/events')
    await rest(stack.url, 'POST', '/windows', { name: 'one', session_id: 'ann' })
    await rest(stack.url, 'POST', '/windows/one/thaw', { session_id: 'guest' })
    await page.locator('#events li').filter({ hasText: 'thawed' }).waitFor()
    const both = await page.locator('#events li').filter({ visible: true }).allInnerTexts()
    await page.getByLabel('Kind').selectOption('thawed')
    const thawed = await page.locator('#events li').filter({ visible: true }).allInnerTexts()

    expect(both).toHaveLength(2)
    expect(thawed).toHaveLength(1)
    expect(thawed[0]).toMatch(/^\d\d:\d\d:\d\d thawed one · session guest/)
    expect(new URL(page.url()).search).toBe('?kind=thawed')
  })

  it('has nothing that axe finds in both color schemes at three widths, and nothing wider than the screen', async () => {
    const problemsOf = viewsOf(page)
    const problems: string[] = []
    for (const path of ['', '?span=day', '/usage?by=hour&by=key&by=model', '/fleet', '/events']) {
      await visit(path)
      problems.push(...(await problemsOf(path)))
    }

    expect(problems).toEqual([])
  }, 120_000)
})
