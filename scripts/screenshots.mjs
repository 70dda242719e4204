// Takes the screenshots of docs/screenshots: cwm with the simulator and sample data, in a real Chromium, on a desk (light) and a phone (dark).
// Usage: npm run screenshots [FOLDER]

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { keyHash } from '../dist/base/auth.js'
import { silentLogger } from '../dist/base/logger.js'
import { startApp } from '../dist/compose/app.js'
import { settingsSchema } from '../dist/config/schema.js'
import { startSim } from '../dist/sim/index.js'

const folder = process.argv[2] ?? 'docs/screenshots'
const devices = {
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
  desk: { viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
}
/** `beta` has no data. */
const keys = { acme: 'sk-acme-0123456789', beta: 'sk-beta-0123456789', operator: 'operator-0123456789' }
const model = 'sim-model'
const json = { 'content-type': 'application/json', authorization: `Bearer ${keys.acme}` }
const words = (n, seed) => Array.from({ length: n }, (_, i) => `${seed}${(i * 7) % 13}`).join(' ')

// Simulates an hour of activity in a few seconds: events are backdated, each one closer to the present.
const clock = Date.now
let ago = 0
Date.now = () => clock() - ago

await mkdir(folder, { recursive: true })
const dataDir = await mkdtemp(join(tmpdir(), 'cwm-screenshots-'))
const sim = await startSim({ eventFlushMs: 0 })
const settings = {
  upstream: sim.engineUrl,
  coordinator: sim.coordinatorUrl,
  port: 0,
  data_dir: dataDir,
  drain_ms: 100,
  operator_key: keys.operator,
  tenants: ['acme', 'beta'].map((id) => ({ id, keys: [{ name: 'main', sha256: keyHash(keys[id]) }] })),
}
const app = await startApp(settingsSchema.parse(settings), silentLogger)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
try {
  await live()
  await pictures([
    { name: 'overview', path: '', ready: '#chart-price canvas' },
    { name: 'empty', path: '/windows', as: 'beta' },
    { name: 'sessions', path: '/sessions' },
    { name: 'session', path: '/sessions', go: (page) => open(page, 'contract-review') },
    { name: 'windows', path: '/windows' },
    { name: 'window', path: '/windows', go: (page) => open(page, 'contract-read') },
    { name: 'window-page', path: '/windows/contract-read' },
    { name: 'messages', path: '/windows/contract-read/messages' },
    { name: 'ask', path: '/ask?by=names&names=contract-read' },
    { name: 'usage', path: '/usage?by=key&by=model' },
    { name: 'fleet', path: '/fleet', as: 'operator' },
    { name: 'tenants', path: '/tenants', as: 'operator' },
    { name: 'keys', path: '/keys', as: 'operator' },
    {
      name: 'key-created',
      path: '/keys',
      as: 'operator',
      go: async (page) => {
        await page.getByRole('textbox', { name: 'Tenant' }).fill('acme')
        await page.getByRole('textbox', { name: 'Name' }).fill(`ci-${page.viewportSize().width}`)
        await page.getByRole('button', { name: 'Create key' }).click()
        await page.getByRole('heading', { name: /^Created/ }).waitFor()
      },
    },
    {
      name: 'events',
      path: '/events',
      go: async (page) => {
        for (const name of ['draft-a', 'draft-b']) {
          await rest('POST', '/windows/contract-branch/clone', { name })
          await rest('DELETE', `/windows/${name}`)
        }
        await page.locator('#events li').nth(3).waitFor()
      },
    },
    {
      name: 'delete',
      path: '/windows',
      go: async (page) => {
        await open(page, 'old-draft')
        await page.getByRole('button', { name: 'Delete window…' }).click()
        await page.getByRole('heading', { name: 'Delete old-draft?' }).waitFor()
      },
    },
    {
      name: 'thawed',
      path: '/windows',
      go: async (page) => {
        await open(page, 'contract-read')
        await page.getByRole('button', { name: 'Thaw into a new session' }).click()
        await page.getByRole('heading', { name: /^Thawed/ }).waitFor()
      },
    },
    {
      name: 'refused',
      path: '/windows',
      go: async (page) => {
        await open(page, 'contract-read')
        await page.getByLabel('Clone name').fill('old-draft')
        await page.getByRole('button', { name: 'Clone' }).click()
        await page.getByRole('alert').filter({ visible: true }).waitFor()
      },
    },
    {
      name: 'offline',
      path: '/windows',
      go: async (page) => {
        await page.context().setOffline(true)
        await page.getByRole('link', { name: 'contract-read', exact: true }).first().click()
        await page.getByText('cwm does not answer.').waitFor()
      },
    },
    { name: 'login', path: '/login', as: undefined },
  ])
  await app.close()
} finally {
  await browser.close()
  await sim.close()
  await rm(dataDir, { recursive: true, force: true })
}

async function open(page, name) {
  await page.getByRole('link', { name, exact: true }).first().click()
  await page.getByRole('heading', { name, exact: true }).waitFor()
}

/** `as`: whose key to log in with. `ready`: what must be there. */
async function pictures(states) {
  for (const [size, device] of Object.entries(devices)) {
    for (const state of states) {
      const { name, path, ready, go } = state
      const context = await browser.newContext({ ...device, reducedMotion: 'reduce' })
      const page = await context.newPage()
      const key = Object.hasOwn(state, 'as') ? keys[state.as] : keys.acme
      if (key !== undefined) await logIn(page, key)
      await page.goto(`${app.url}/cwm/ui${path}`)
      if (key !== undefined) {
        await page.locator('#health .good').waitFor()
        await page.locator('#live.good').waitFor()
      }
      if (ready !== undefined) await page.locator(ready).waitFor()
      await go?.(page)
      const file = join(folder, `${name}-${size}.webp`)
      await writeFile(file, await asWebp(await page.screenshot()))
      console.log(file)
      await context.close()
    }
  }
}

async function logIn(page, key) {
  await page.goto(`${app.url}/cwm/ui/login`)
  await page.getByLabel('API key').fill(key)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Log out' }).waitFor()
}

/** Converts to WebP with Chromium's own encoder: a fifth of the size. */
async function asWebp(png) {
  const page = await browser.newPage()
  const url = await page.evaluate(async (base64) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob())
    const canvas = new OffscreenCanvas(image.width, image.height)
    canvas.getContext('2d').drawImage(image, 0, 0)
    const bytes = new Uint8Array(
      await (await canvas.convertToBlob({ type: 'image/webp', quality: 0.85 })).arrayBuffer(),
    )
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  }, png.toString('base64'))
  await page.close()
  return Buffer.from(url, 'base64')
}

async function rest(method, path, body) {
  const response = await fetch(`${app.url}/cwm/v1${path}`, {
    method,
    headers: json,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(await response.text())
}

async function live() {
  ago = 58 * 60_000
  const chat = async (session, messages, headers = {}) => {
    const response = await fetch(`${app.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...json, 'x-cwm-session': session, ...headers },
      body: JSON.stringify({ model, messages, max_tokens: 30, stream: true, stream_options: { include_usage: true } }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(text)
    const content = [...text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)]
      .map(([, piece]) => JSON.parse(`"${piece}"`))
      .join('')
    return { role: 'assistant', content }
  }
  const talk = async (session, sizes) => {
    const messages = []
    for (const [i, size] of sizes.entries()) {
      messages.push({ role: 'user', content: words(size, `${session.slice(0, 3)}${i}`) })
      messages.push(await chat(session, messages))
      ago = Math.max(0, ago - 4 * 60_000)
    }
  }
  await talk('contract-review', [500, 400, 300])
  await rest('POST', '/windows', {
    name: 'contract-read',
    session_id: 'contract-review',
    tags: ['law', 'acme'],
    note: 'All clauses read; questions open on 7 and 12.',
  })
  await talk('support-42', [200, 100, 50])
  await rest('POST', '/windows', { name: 'old-draft', session_id: 'support-42', tags: ['draft'] })
  await talk('nightly-report', [2000, 200, 200, 200])
  await talk('agent-7f3a', [1500, 600, 300])
  await rest('POST', '/windows/contract-read/clone', { name: 'contract-branch', tags: ['law'] })
  await rest('POST', '/windows/contract-branch/clone', { name: 'contract-branch-2', at: 2 })
  await rest('POST', '/windows/contract-branch/clone', { name: 'negotiation', tags: ['law', 'acme'] })
  await rest('POST', '/windows/contract-branch/thaw', { session_id: 'support-43' })
  ago = 60_000
  await chat('support-43', [{ role: 'user', content: 'What does clause 7 say?' }])
  ago = 0
}
