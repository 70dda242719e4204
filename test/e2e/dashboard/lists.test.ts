// The tabs Sessions and Windows in a real Chromium: search, filters, pages, selections, messages, and what can be done with many.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import { openSqliteStore } from '../../../src/store/sqlite/sqlite.ts'
import type { WindowJson } from '../../../src/wire/windows.ts'
import { aSession, aWindow, noon, someContent } from '../../contracts/store/sample-records.ts'
import { viewsOf } from '../../support/axe.ts'
import { launchBrowser, noBrowser, openPage, type Watched } from '../../support/browser.ts'
import { chat, user } from '../../support/conversation.ts'
import { call, frozenSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

let browser: Browser
let stack: Stack
let watched: Watched
let page: Page
beforeAll(async () => {
  if (!noBrowser) browser = await launchBrowser()
}, 30_000)
afterAll(() => browser?.close())

const visit = (path: string) => page.goto(`${stack.url}/cwm/ui/${path}`)
const dialog = () => page.getByRole('dialog')
const names = (of: 'windows' | 'sessions') => page.locator(`#${of} tbody th .link`).allInnerTexts()
const shows = (of: 'windows' | 'sessions', wanted: string[]) =>
  expect.poll(() => names(of), { timeout: 5_000 }).toEqual(wanted)
const range = (of: string) => page.locator(`#${of}-range`).innerText()

describe.skipIf(noBrowser)('lists', () => {
  beforeAll(async () => {
    stack = await startStack()
    await frozenSession(stack.url, { session: 'ann', window: 'first' })
    await rest(stack.url, 'POST', '/windows/first/clone', { name: 'child', tags: ['law'] })
    await rest(stack.url, 'POST', '/windows/child/clone', { name: 'grandchild', tags: ['other'] })
    await rest(stack.url, 'POST', '/windows/first/thaw', { session_id: 'joe' })
    const messages = [
      ...Array.from({ length: 24 }, (_, n) => [
        user(`question ${n}`),
        { role: 'assistant', content: `answer ${n}` },
      ]).flat(),
      {
        role: 'user',
        content: [
          { type: 'text', text: '<img src=x onerror=alert(1)>' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(4_000)}` } },
        ],
      },
      {
        role: 'assistant',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'measure', arguments: '{"depth":3}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'three fathoms' },
      user(`${'long '.repeat(2_000)}needle`),
    ]
    await rest(stack.url, 'PUT', '/windows/log', { model: 'sim-model', messages })
  })
  afterAll(() => stack.close())
  beforeEach(async () => {
    watched = await openPage(browser)
    page = watched.page
  })
  afterEach(async () => {
    expect(watched.faults).toEqual([])
    await watched.context.close()
  })

  it('searches, filters and sorts windows; the address can be sent', async () => {
    await visit('windows')
    await page.getByLabel('Search').fill('child')
    await shows('windows', ['grandchild', 'child'])
    await page.getByLabel('Sort by').selectOption('name')
    await page.getByLabel('Order').selectOption('asc')
    await shows('windows', ['child', 'grandchild'])
    await page.getByLabel('Tag', { exact: true }).fill('law')
    await shows('windows', ['child'])
    await expect.poll(() => new URL(page.url()).search).toBe('?search=child&tag=law&sort=name&order=asc')

    await page.reload()
    await shows('windows', ['child'])
    expect(await page.getByLabel('Search').inputValue()).toBe('child')
    expect(await range('windows')).toBe('1 of 1 window')
    await page.getByLabel('State').selectOption('failed')
    await page.getByText('No matching windows.').waitFor()
    await page.getByRole('link', { name: 'Show all windows' }).click()
    await expect.poll(async () => (await names('windows')).length).toBe(4)
  })

  it('searches, filters and sorts sessions', async () => {
    await visit('sessions?sort=id&order=asc')
    await shows('sessions', ['ann', 'joe'])
    await page.getByLabel('State').selectOption('thawed')
    await shows('sessions', ['joe'])
    await page.getByLabel('State').selectOption('')
    await page.getByLabel('Search').fill('AN')
    await shows('sessions', ['ann'])
    await visit('sessions?base_window=first')
    await shows('sessions', ['joe'])
    expect(await range('sessions')).toBe('1 of 1 session')
  })

  it('opens a window from a link, and back leads to the filtered list', async () => {
    await visit('windows?search=child')
    await page.getByRole('link', { name: 'grandchild', exact: true }).click()
    await dialog().getByRole('heading', { name: 'grandchild' }).waitFor()
    await dialog().getByRole('link', { name: 'Messages', exact: true }).click()
    await page.waitForURL('**/windows/grandchild/messages')
    await page.goBack()
    await page.waitForURL('**/windows/grandchild')
    await page.goBack()
    await page.waitForURL('**/windows?search=child')

    await shows('windows', ['grandchild', 'child'])
  })

  const make = async (...wanted: string[]) => {
    for (const name of wanted) await rest(stack.url, 'POST', '/windows/log/clone', { name })
    await visit(`windows?search=${wanted[0]?.slice(0, -2)}`)
  }
  const pick = async (...wanted: string[]) => {
    for (const name of wanted) await page.getByRole('checkbox', { name: `Select ${name}`, exact: true }).check()
  }
  const press = (name: string) =>
    page.getByRole('form', { name: 'Selected windows' }).getByRole('button', { name }).click()
  const tagsOf = async (name: string) => (await rest<WindowJson>(stack.url, 'GET', `/windows/${name}`)).tags

  it('tags the selected windows after a question, and keeps the selection over a refresh', async () => {
    await make('tag-1', 'tag-2', 'tag-3')
    await pick('tag-1', 'tag-3')
    expect(await page.locator('#picked').innerText()).toBe('2 selected on this page')
    await page.evaluate("htmx.trigger(document.body, 'refresh')")
    await page.waitForResponse((response) => response.url().includes('search=tag'))
    await expect.poll(() => page.locator('#picked').innerText()).toBe('2 selected on this page')
    await page.getByRole('form', { name: 'Selected windows' }).getByLabel('Tags').fill('law, 2026')
    await press('Add tags')
    await dialog().getByRole('heading', { name: 'Add tags (2 windows)?' }).waitFor()
    expect(await dialog().innerText()).toMatch(/Tags: law, 2026\s+tag-3\s+tag-1/)
    await dialog().getByRole('button', { name: 'Add tags' }).click()
    await dialog().getByRole('heading', { name: 'Tagged: 2 windows' }).waitFor()
    await dialog().getByRole('button', { name: 'Done' }).click()

    expect(await Promise.all(['tag-1', 'tag-2', 'tag-3'].map(tagsOf))).toEqual([['2026', 'law'], [], ['2026', 'law']])
    await expect.poll(() => page.getByRole('row').filter({ hasText: 'tag-1' }).innerText()).toContain('law')
  })

  it('pins and unpins all windows of a page', async () => {
    await make('pin-1', 'pin-2')
    const pins = async () =>
      await Promise.all(
        ['pin-1', 'pin-2'].map(async (name) => (await rest<WindowJson>(stack.url, 'GET', `/windows/${name}`)).pin),
      )
    await page.getByRole('checkbox', { name: 'Select all windows on this page' }).check()
    await press('Unpin')
    await dialog().getByRole('button', { name: 'Unpin' }).click()
    await dialog().getByRole('heading', { name: 'Unpinned: 2 windows' }).waitFor()
    expect(await pins()).toEqual(['released', 'released'])
    await dialog().getByRole('button', { name: 'Done' }).click()
    await page.getByRole('form', { name: 'Selected windows' }).getByRole('button', { name: 'Pin', exact: true }).click()
    await dialog().getByRole('button', { name: 'Pin' }).click()
    await dialog().getByRole('heading', { name: 'Pinned: 2 windows' }).waitFor()

    expect(await pins()).toEqual(['pinned', 'pinned'])
  })

  it('deletes selected windows only after it said which sessions are based on them', async () => {
    await make('old-1', 'old-2')
    await rest(stack.url, 'POST', '/windows/old-1/thaw', { session_id: 'on-old' })
    await pick('old-1', 'old-2')
    await press('Delete…')
    await dialog().getByRole('heading', { name: 'Delete (2 windows)?' }).waitFor()
    const question = await dialog().innerText()
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    expect((await call(stack.url, 'GET', '/windows/old-1')).status).toBe(200)
    await press('Delete…')
    await dialog().getByRole('button', { name: 'Delete 2 windows and end their sessions' }).click()
    await dialog().getByRole('heading', { name: 'Deleted: 2 windows' }).waitFor()
    await dialog().getByRole('button', { name: 'Done' }).click()
    await page.getByText('No matching windows.').waitFor()

    expect(question).toContain(
      '1 session based on old-1 will continue, and keep its text until the last one ends: on-old',
    )
    expect(question).toContain('This is permanent.')
    expect((await call(stack.url, 'GET', '/sessions/on-old')).status).toBe(404)
  })

  it('leads back from a question that is a page of its own', async () => {
    await visit('windows/first/delete')
    await page.getByRole('link', { name: 'joe', exact: true }).waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.waitForURL('**/cwm/ui/windows')
  })

  it('offers a change of many once something is selected, and says what is missing for it', async () => {
    await visit('windows')
    const actions = page.getByRole('form', { name: 'Selected windows' }).getByRole('button')
    const enabled = async () => (await Promise.all((await actions.all()).map((one) => one.isEnabled()))).filter(Boolean)
    expect(await page.locator('#picked').innerText()).toBe('Nothing selected on this page')
    expect(await enabled()).toEqual([])
    await pick('first')
    expect(await enabled()).toHaveLength(5)
    await press('Add tags')
    await dialog().getByRole('alert').filter({ hasText: 'Write one tag or more' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('checkbox', { name: 'Select first', exact: true }).uncheck()
    expect(await enabled()).toEqual([])
  })

  it('reads messages in pages, as text, with placeholders for media', async () => {
    await visit('windows/log/messages')
    expect(await page.locator('#messages .range').innerText()).toBe('1–20 of 52 messages')
    await page.getByRole('link', { name: 'Next' }).click()
    await expect.poll(() => page.locator('#messages .range').innerText()).toBe('21–40 of 52 messages')
    await page.getByRole('link', { name: 'Next' }).click()
    await expect.poll(() => page.locator('#messages .range').innerText()).toBe('41–52 of 52 messages')
    const words = await page.locator('#messages').innerText()
    await page.goBack()
    await expect.poll(() => page.locator('#messages .range').innerText()).toBe('21–40 of 52 messages')

    expect(words).toContain('<img src=x onerror=alert(1)>')
    expect(words).toContain('image/png, 2.9 KiB (not shown)')
    expect(words).toMatch(/Tool call measure · c1\s+\{\s+"depth": 3\s+\}/)
    expect(words).toMatch(/Tool result c1\s+three fathoms/)
  })

  it('searches messages, marks matches, and shows a long message in full on demand', async () => {
    await visit('windows/log/messages')
    await page.getByLabel('Search').fill('NEEDLE')
    await expect.poll(() => page.locator('#messages .range').innerText()).toBe('1 of 1 matching message')
    await expect.poll(() => new URL(page.url()).search).toBe('?search=NEEDLE')
    expect(await page.locator('#messages mark').allInnerTexts()).toEqual(['needle'])
    await page.getByRole('link', { name: 'Show all 10,006 characters' }).click()
    await page.waitForURL('**whole=true')

    expect((await page.locator('#messages pre').innerText()).length).toBe(10_006)
    await visit('windows/log/messages?search=submarine')
    await page.getByText('No matching messages.').waitFor()
  })

  it("reads the messages of a session's last turn, and says if there is none", async () => {
    await chat(stack.url, [user('where is the boat')], { headers: { 'x-cwm-session': 'sea' } })
    await visit('sessions/sea')
    await page.getByRole('link', { name: 'Messages', exact: true }).click()
    await page.getByText('where is the boat').waitFor()
    await visit('sessions/joe/messages')

    expect(await page.getByRole('alert').filter({ hasText: 'no retained turn' }).innerText()).toContain(
      'the window first',
    )
  })

  it('copies a name, and exports a window as a file', async () => {
    await watched.context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await visit('windows')
    await page.getByRole('link', { name: 'first', exact: true }).click()
    await dialog().getByRole('button', { name: 'Copy name' }).click()
    await dialog().getByText('Copied').waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      dialog().getByRole('link', { name: 'Export' }).click(),
    ])
    const file = await readFile(await download.path(), 'utf8')

    expect(await page.evaluate('navigator.clipboard.readText()')).toBe('first')
    expect(download.suggestedFilename()).toBe('first.cwm.json')
    expect(JSON.parse(file)).toMatchObject({ format: 'cwm-window', name: 'first' })
    const copy = await call(stack.url, 'POST', '/windows/import?name=first-again', JSON.parse(file))
    expect(copy.status).toBe(201)
    await rest(stack.url, 'DELETE', '/windows/first-again')
  })

  it('can be used by keyboard only', async () => {
    await make('key-1', 'key-2')
    await page.getByRole('checkbox', { name: 'Select all windows on this page' }).focus()
    await page.keyboard.press('Space')
    await page.getByRole('form', { name: 'Selected windows' }).getByLabel('Tags').focus()
    await page.keyboard.type('typed')
    // Enter presses the first button.
    await page.keyboard.press('Enter')
    await dialog().getByRole('heading', { name: 'Add tags (2 windows)?' }).waitFor()
    await expect.poll(() => page.evaluate('document.activeElement?.tagName')).toBe('H2')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await dialog().getByRole('heading', { name: 'Tagged: 2 windows' }).waitFor()
    await page.keyboard.press('Escape')

    await dialog().waitFor({ state: 'hidden' })
    expect(await Promise.all(['key-1', 'key-2'].map(tagsOf))).toEqual([['typed'], ['typed']])
  })

  it('have nothing that axe finds in both color schemes at three widths, and nothing wider than the screen', async () => {
    const problemsOf = viewsOf(page)
    const problems: string[] = []
    const check = async (state: string) => problems.push(...(await problemsOf(state)))
    for (const path of [
      'windows',
      'windows?search=none',
      'sessions',
      'windows/log/messages?offset=40',
      'windows/log/messages?search=needle',
    ]) {
      await visit(path)
      await check(path)
    }
    await visit('windows?search=first')
    await page.getByRole('checkbox', { name: 'Select all windows on this page' }).check()
    await press('Delete…')
    await page.getByRole('heading', { name: /^Delete/ }).waitFor()
    await check('confirmation')

    expect(problems).toEqual([])
  }, 120_000)
})

describe.skipIf(noBrowser)('the operator', () => {
  it('sees windows of a tenant, and neither their messages nor answers from them', async () => {
    const [acme, operator] = ['sk-acme-0123456789', 'operator-0123456789']
    const tenants = [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash(acme) }] }]
    stack = await startStack({ settings: { tenants, operator_key: operator } })
    const body = { model: 'sim-model', messages: [user('the treasure is under the mill')] }
    await rest(stack.url, 'PUT', '/windows/secret', body, { authorization: `Bearer ${acme}` })
    watched = await openPage(browser)
    page = watched.page
    await visit('login')
    await page.getByLabel('API key').fill(operator)
    await page.getByLabel('Tenant').fill('acme')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('button', { name: 'Log out' }).waitFor()

    await visit('windows')
    await shows('windows', ['secret'])
    await visit('windows/secret/messages')
    expect(await page.getByRole('alert').innerText()).toContain('does not read the messages of tenants')
    const exported = await page.request.get(`${stack.url}/cwm/ui/windows/secret/export`)
    expect([exported.status(), await exported.text()]).toEqual([403, expect.not.stringContaining('treasure')])
    await visit('ask?names=secret')
    await page.getByRole('textbox', { name: 'Question' }).fill('Where is it?')
    await page.getByRole('button', { name: 'Ask', exact: true }).click()
    await page.getByText('The question was refused.').waitFor()
    expect(await page.locator('#ask-error').innerText()).toContain('operator_reads_messages')
    expect(await page.locator('main').innerText()).not.toContain('treasure')

    await watched.context.close()
    await stack.close()
  })
})

describe.skipIf(noBrowser)('lists of many', () => {
  it('show a thousand windows and ten thousand sessions in pages, each quickly', async () => {
    stack = await startStack()
    await frozenSession(stack.url, { session: 'ann', window: 'w-000', words: 300 })
    await stack.stop()
    const store = await openSqliteStore({ path: join(stack.dataDir, 'cwm.sqlite') })
    for (let i = 1; i < 1_000; i++) {
      const name = `w-${String(i).padStart(3, '0')}`
      const record = aWindow({ tenant: 'anonymous', name, id: name, state: 'frozen', lineage: `of-${name}` })
      await store.reserveWindow(record, someContent())
    }
    for (let i = 0; i < 9_999; i += 303) {
      const some = Array.from({ length: 303 }, (_, n) => `s-${String(i + n).padStart(4, '0')}`)
      const saved = some.map((id, n) => {
        const session = aSession({
          tenant: 'anonymous',
          id,
          lineage: `of-${id}`,
          turns: i + n,
          lastTurnAt: noon - i - n,
          model: i < 303 ? 'old' : 'new',
        })
        return store.saveTurn(session, { boundaries: [], keepBoundaries: 4, mayWait: true }, true)
      })
      await Promise.all(saved)
    }
    await store.close()
    await stack.restart()
    watched = await openPage(browser)
    page = watched.page
    const timed = async (path: string) => {
      const began = performance.now()
      await visit(path)
      const ms = Math.round(performance.now() - began)
      console.log(`${path}: ${ms} ms`)
      return ms
    }

    const took = [await timed('windows?sort=name&order=asc')]
    expect([await range('windows'), (await names('windows')).length]).toEqual(['1–25 of 1,000 windows', 25])
    await page.getByRole('link', { name: 'Next', exact: true }).click()
    await expect.poll(() => range('windows')).toBe('26–50 of 1,000 windows')
    // A refresh stays on the page.
    await rest(stack.url, 'PATCH', '/windows/w-026', { note: 'x' })
    await frozenSession(stack.url, { session: 'bo', window: 'a-new-one', words: 300 })
    await page.waitForResponse((response) => response.url().includes('cursor='))
    expect((await names('windows'))[0]).toBe('w-025')
    await page.getByRole('link', { name: 'Previous', exact: true }).click()
    await expect.poll(async () => (await names('windows'))[0]).toBe('w-000')
    took.push(await timed('windows?search=w-9'))
    expect(await range('windows')).toBe('1–25 of 100 windows')
    await visit('windows?state=frozen')
    expect(await range('windows')).toBe('1–25 of 1,000+ windows')

    took.push(await timed('sessions'))
    expect(await range('sessions')).toBe('1–25 of 10,001 sessions')
    await page.getByRole('link', { name: 'Next', exact: true }).click()
    await expect.poll(() => range('sessions')).toBe('26–50 of 10,001 sessions')
    expect(new URL(page.url()).searchParams.has('cursor')).toBe(true)
    await page.goBack()
    await expect.poll(() => range('sessions')).toBe('1–25 of 10,001 sessions')
    await page.goForward()
    await expect.poll(() => range('sessions')).toBe('26–50 of 10,001 sessions')
    await page.getByRole('link', { name: 'Previous', exact: true }).click()
    await expect.poll(() => range('sessions')).toBe('1–25 of 10,001 sessions')
    took.push(await timed('sessions?model=old&sort=turns'))
    expect([await range('sessions'), (await names('sessions'))[0]]).toEqual([
      '1–25 of 303+ sessions, of the 10,000 most recent ones',
      's-0302',
    ])
    expect(Math.max(...took)).toBeLessThan(10_000)
    expect(watched.faults).toEqual([])
    await watched.context.close()
    await stack.close()
  }, 120_000)
})
