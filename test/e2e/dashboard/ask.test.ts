// The tab Ask in a real Chromium: windows are chosen, asked, and their answers appear as they come.

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { documentWindow, leftovers, nothingLeft } from '../../support/asks.ts'
import { viewsOf } from '../../support/axe.ts'
import { launchBrowser, noBrowser, openPage, type Watched } from '../../support/browser.ts'
import { addLibrary, book } from '../../support/libraries.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const question = 'What is the harbor called?'

describe.skipIf(noBrowser)('the tab Ask', () => {
  let browser: Browser
  let stack: Stack
  let watched: Watched
  let page: Page
  beforeAll(async () => {
    browser = await launchBrowser()
    stack = await startStack()
    for (const name of ['ada', 'bo', 'cy']) await documentWindow(stack.url, name)
    await documentWindow(stack.url, 'html', {
      text: `<b>bold</b> ${'word '.repeat(300)}. The harbor of html is called <i>Port-html</i>.`,
      tags: [],
    })
    await addLibrary(stack.url, book(2))
  }, 60_000)
  afterAll(async () => {
    await browser.close()
    await stack.close()
  })
  beforeEach(async () => {
    watched = await openPage(browser)
    page = watched.page
  })
  afterEach(async () => {
    expect(watched.faults).toEqual([])
    await watched.context.close()
  })

  const visit = (query: string) => page.goto(`${stack.url}/cwm/ui/ask${query}`)
  const chosen = () => page.locator('#ask-windows').innerText()
  const status = () => page.locator('#ask-status').innerText()
  const finished = (words: string) => expect.poll(status, { timeout: 20_000 }).toBe(words)
  const answers = () => page.locator('#ask-answers .answer')
  const ask = async (text = question) => {
    await page.getByRole('textbox', { name: 'Question' }).fill(text)
    await page.getByRole('button', { name: 'Ask', exact: true }).click()
  }

  it('shows which windows a tag chooses, and the address can be sent', async () => {
    await visit('')
    expect(await chosen()).toBe('Choose windows.')
    await page.getByRole('textbox', { name: 'Tag' }).fill('law')
    await expect.poll(chosen).toBe('3 windows: ada, bo, cy')
    await page.getByRole('textbox', { name: 'Part of a name' }).fill('a')
    await expect.poll(chosen).toBe('1 window: ada')
    await expect.poll(() => new URL(page.url()).search).toBe('?tag=law&search=a')
    await page.reload()

    expect(await chosen()).toBe('1 window: ada')
    expect(await page.getByRole('textbox', { name: 'Tag' }).inputValue()).toBe('law')
  })

  it('asks the windows of a tag, and shows each answer with its passage and receipt, and the whole receipt', async () => {
    await visit('?tag=law')
    await ask()
    await finished('Done: 3 of 3 windows.')

    for (const name of ['ada', 'bo', 'cy']) {
      const answer = answers().filter({ has: page.getByRole('link', { name, exact: true }) })
      expect(await answer.locator('.words').innerText()).toContain(`Port-${name}`)
      expect(await answer.locator('blockquote').innerText()).toContain(`Port-${name}`)
      await answer.getByText('Receipt').click()
      expect(await answer.locator('details').innerText()).toMatch(/Restored\s+[\d,]+ tokens\s+Computed\s+[\d,]+ tokens/)
    }
    expect(await page.getByRole('region', { name: 'Receipt of the question' }).innerText()).toMatch(
      /Windows\s+3\s+Answered\s+3\s+Answer not found\s+0/,
    )
    await answers()
      .first()
      .getByRole('link', { name: /^Message/ })
      .click()
    await page.waitForURL('**/messages?offset=0')
    await page.getByText('The harbor of').first().waitFor()
  })

  it('writes one answer from all, and escapes what windows say', async () => {
    await visit('?names=html')
    await page.getByRole('combobox', { name: 'Combined answer' }).selectOption('synthesize')
    await ask()
    await finished('Done: 1 of 1 window.')

    expect(await page.locator('#ask-whole h3').first().innerText()).toMatch(/^Combined answer/)
    expect(await page.locator('#ask-answers').innerText()).toContain('<i>Port-html</i>')
    expect(await page.locator('#ask-answers i').count()).toBe(0)
  })

  it('asks windows by name, and one that does not exist fails alone', async () => {
    await visit('')
    await page.getByRole('textbox', { name: 'Names, separated by commas' }).fill('ada, nothing')
    await expect.poll(chosen).toBe('2 windows: ada, nothing')
    expect(await page.getByRole('radio', { name: 'By exact name' }).isChecked()).toBe(true)
    await ask()
    await finished('Done: 2 of 2 windows.')

    expect(await answers().filter({ hasText: 'nothing' }).getByRole('alert').innerText()).toContain('no window nothing')
  })

  it('asks a library', async () => {
    await visit('')
    await page.getByRole('combobox', { name: 'Library' }).selectOption('book')
    await expect.poll(chosen).toMatch(/^2 windows: lib\.book\./)
    await ask()
    await finished('Done: 2 of 2 windows.')
  })

  it('stops when asked to, keeps the answers so far, and leaves nothing behind', async () => {
    const before = await leftovers(stack)
    const resume = stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'stall', events: 1 } })
    await visit('?tag=law')
    await ask()
    await expect.poll(status, { timeout: 10_000 }).toBe('Asking… 2 of 3 windows')
    await page.getByRole('button', { name: 'Stop' }).click()
    await finished('Stopped: 2 of 3 windows.')
    resume()

    expect(await answers().count()).toBe(2)
    expect(await page.getByRole('button', { name: 'Ask', exact: true }).isEnabled()).toBe(true)
    await nothingLeft(stack, before)
  })

  it('shows what is wrong with a question', async () => {
    await visit('')
    await ask()
    await page.getByRole('alert').waitFor()
    expect(await page.getByRole('alert').innerText()).toBe('Choose windows first: by tag, name, or library.')
    await visit('?tag=nobody')
    await ask()
    await page.getByRole('alert').waitFor()

    expect(await page.getByRole('alert').innerText()).toContain('the tag nobody')
  })

  it('says that cwm does not answer any more', async () => {
    await visit('?tag=law')
    await watched.context.setOffline(true)
    await ask()
    await finished('cwm does not answer any more: 0 of 0 windows. Ask again.')
    await watched.context.setOffline(false)
    await page.getByRole('button', { name: 'Ask', exact: true }).click()
    await finished('Done: 3 of 3 windows.')
  })

  it('can be used by keyboard only', async () => {
    await visit('')
    await page.getByRole('textbox', { name: 'Tag' }).focus()
    await page.keyboard.type('law')
    await page.keyboard.press('Enter')
    await expect.poll(chosen).toBe('3 windows: ada, bo, cy')
    await page.getByRole('textbox', { name: 'Question' }).focus()
    await page.keyboard.type(question)
    await page.keyboard.press('Control+Enter')
    await finished('Done: 3 of 3 windows.')

    expect(await page.evaluate('document.activeElement?.id')).toBe('field-question')
  })

  it('has nothing that axe finds in both color schemes at three widths, and nothing wider than the screen', async () => {
    const problemsOf = viewsOf(page)
    const problems: string[] = []
    await visit('?names=ada,nothing')
    problems.push(...(await problemsOf('question')))
    await ask()
    await finished('Done: 2 of 2 windows.')
    await page.locator('#ask-answers details summary').first().click()
    problems.push(...(await problemsOf('answers')))

    expect(problems).toEqual([])
  }, 120_000)
})
