// Takes the screenshots of docs/screenshots: cwm with the simulator and sample data, in a real Chromium, at two widths, light and dark.
// Usage: npm run screenshots [FOLDER]

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { silentLogger } from '../dist/base/logger.js'
import { startApp } from '../dist/compose/app.js'
import { settingsSchema } from '../dist/config/schema.js'
import { startSim } from '../dist/sim/index.js'

const folder = process.argv[2] ?? 'docs/screenshots'
const sizes = { phone: { width: 390, height: 844 }, desk: { width: 1440, height: 900 } }
const model = 'sim-model'
const words = (n, seed) => Array.from({ length: n }, (_, i) => `${seed}${(i * 7) % 13}`).join(' ')

// Simulates an hour of activity in a few seconds: events are backdated, each one closer to the present.
const clock = Date.now
let ago = 0
Date.now = () => clock() - ago

await mkdir(folder, { recursive: true })
const dataDir = await mkdtemp(join(tmpdir(), 'cwm-screenshots-'))
const sim = await startSim({ eventFlushMs: 0 })
const settings = { upstream: sim.engineUrl, coordinator: sim.coordinatorUrl, port: 0, data_dir: dataDir, drain_ms: 100 }
const app = await startApp(settingsSchema.parse(settings), silentLogger)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
try {
  await pictures([{ name: 'empty', go: async () => {} }])
  await live()
  await pictures([
    { name: 'dashboard', go: async () => {}, whole: true },
    { name: 'session', go: (page) => open(page, 'contract-review') },
    { name: 'window', go: (page) => open(page, 'contract-read') },
    {
      name: 'delete',
      go: async (page) => {
        await open(page, 'old-draft')
        await page.getByRole('button', { name: 'Delete window…' }).click()
        await page.getByRole('heading', { name: 'Delete old-draft?' }).waitFor()
      },
    },
    {
      name: 'thawed',
      go: async (page) => {
        await open(page, 'contract-read')
        await page.getByRole('button', { name: 'Thaw into a new session' }).click()
        await page.getByRole('heading', { name: /^Thawed/ }).waitFor()
      },
    },
    {
      name: 'refused',
      go: async (page) => {
        await open(page, 'contract-read')
        await page.getByLabel('Name of the clone').fill('old-draft')
        await page.getByRole('button', { name: 'Clone' }).click()
        await page.getByRole('alert').filter({ visible: true }).waitFor()
      },
    },
    {
      name: 'loading',
      go: async (page) => {
        await page.route('**/cwm/ui/windows/contract-read', () => {})
        await page.getByRole('button', { name: 'contract-read', exact: true }).first().click()
        await page.getByText('Loading…').waitFor()
      },
    },
    {
      name: 'away',
      go: async (page) => {
        await page.context().setOffline(true)
        await page.getByRole('button', { name: 'contract-read', exact: true }).first().click()
        await page.getByText('cwm does not answer.').waitFor()
      },
    },
    { name: 'login', go: (page) => page.goto(`${app.url}/cwm/ui/login`) },
  ])
  await app.close()
} finally {
  await browser.close()
  await sim.close()
  await rm(dataDir, { recursive: true, force: true })
}

async function open(page, name) {
  await page.getByRole('button', { name, exact: true }).first().click()
  await page.getByRole('heading', { name, exact: true }).waitFor()
}

async function pictures(states) {
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ['light', 'dark']) {
      for (const { name, go, whole = false } of states) {
        const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' })
        const page = await context.newPage()
        await page.goto(`${app.url}/cwm/`)
        await page.locator('#health .good').waitFor()
        await page.locator('#ttft-now').filter({ hasText: /./ }).waitFor()
        await go(page)
        const path = join(folder, `${name}-${size}-${colorScheme}.webp`)
        await writeFile(path, await asWebp(await page.screenshot({ fullPage: whole })))
        console.log(path)
        await context.close()
      }
    }
  }
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

async function live() {
  ago = 58 * 60_000
  const chat = async (session, messages, headers = {}) => {
    const response = await fetch(`${app.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-cwm-session': session, ...headers },
      body: JSON.stringify({ model, messages, max_tokens: 30, stream: true, stream_options: { include_usage: true } }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(text)
    const content = [...text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)]
      .map(([, piece]) => JSON.parse(`"${piece}"`))
      .join('')
    return { role: 'assistant', content }
  }
  const rest = async (method, path, body) => {
    const response = await fetch(`${app.url}/cwm/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(await response.text())
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
