// Debian's Chromium, driven by playwright-core. Without it, its tests are skipped; on CI they fail.

import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** The same engine without the rest of a browser takes half the processor time, so it comes first. */
const SHELL = '/usr/bin/chromium-headless-shell'
const path = process.env.CHROMIUM ?? (existsSync(SHELL) ? SHELL : '/usr/bin/chromium')
const INSTALL =
  'Chromium is missing: apt-get install chromium-headless-shell (or chromium, or set CHROMIUM to the path of one)'

/** For `describe.skipIf`. Prints once what is missing. */
export const noBrowser = !existsSync(path) && process.env.CI !== 'true'
if (noBrowser) console.warn(`${INSTALL}; the tests of pages are skipped`)

export function launchBrowser(): Promise<Browser> {
  if (!existsSync(path)) throw new Error(INSTALL)
  return chromium.launch({ executablePath: path, args: ['--no-sandbox'] })
}

/** Chromium and htmx log each request that fails, such as one that a test has refused. */
const ofRequest = /^Failed to load resource|^Response Status Error Code|^htmx:(sendError|responseError|afterRequest)/

export interface Watched {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors of the page: uncaught exceptions, violations of its Content-Security-Policy, and errors in the console. */
  readonly faults: string[]
}

export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    ...options,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(10_000)
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    const text = message.text()
    if (/Content.Security.Policy|Refused to/i.test(text)) faults.push(text)
    else if (message.type() === 'error' && !ofRequest.test(text)) faults.push(text)
  })
  return { page, context, faults }
}
