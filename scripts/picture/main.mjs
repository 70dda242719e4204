// Makes the moving picture of the README: a real terminal and the real dashboard, in front of the simulated engine.
// Usage: npm run demo:picture [FILE]   (needs chromium, ffmpeg, and `script` of util-linux)

import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { silentLogger } from '../../dist/base/logger.js'
import { question, stationLog } from '../../dist/cli/demo-story.js'
import { startApp } from '../../dist/compose/app.js'
import { settingsSchema } from '../../dist/config/schema.js'
import { startSim } from '../../dist/sim/index.js'
import { CAPTION_HEIGHT, TerminalFilm } from './film.mjs'
import { Frames } from './frames.mjs'
import { Shell } from './shell.mjs'

const file = process.argv[2] ?? 'docs/screenshots/demo.webp'
const MAX_BYTES = 3_000_000
const SIZE = { width: 1_000, height: 620 }
const GRID = { columns: 92, rows: 23 }

const bin = await mkdtemp(join(tmpdir(), 'cwm-picture-bin-'))
const dataDir = await mkdtemp(join(tmpdir(), 'cwm-picture-data-'))
await writeFile(join(bin, 'cwm'), `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist/cli/main.js')}' "$@"\n`, {
  mode: 0o755,
})
const sim = await startSim({
  prefillTokensPerSecond: 2_000,
  loadTokensPerSecond: 30_000,
  decodeTokensPerSecond: 30,
  maxModelLen: 8_192,
})
const settings = settingsSchema.parse({
  ...{ upstream: sim.engineUrl, coordinator: sim.coordinatorUrl, data_dir: dataDir },
  ...{ port: 0, log_level: 'silent', drain_ms: 100 },
})
const app = await startApp(settings, silentLogger)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
const frames = await Frames.create()
try {
  await converse()
  const film = new TerminalFilm(await browser.newPage({ viewport: SIZE }), frames)
  await filmTerminal(film)
  await filmDashboard(film)
  await frames.save(file, 70)
  const { size } = await stat(file)
  console.log(`${file}: ${frames.count} frames, ${(frames.ms / 1_000).toFixed(1)} s, ${(size / 1e6).toFixed(2)} MB`)
  if (size > MAX_BYTES) throw new Error(`the picture is larger than ${MAX_BYTES} bytes`)
} finally {
  await browser.close()
  await app.close()
  await sim.close()
  await frames.dispose()
  for (const folder of [bin, dataDir]) await rm(folder, { recursive: true, force: true })
}

/** The app's sessions, before the picture begins. */
async function converse() {
  const log = { role: 'user', content: `Here is our log.\n${stationLog(95)}` }
  const turns = [
    ['observatory', [log]],
    ['support-42', [{ role: 'user', content: stationLog(40) }]],
    ['agent-7f3a', [{ role: 'user', content: stationLog(130) }]],
  ]
  for (const [session, messages] of turns) {
    for (const next of ['Thank you.', 'Keep it in mind.']) {
      const answer = await fetch(`${app.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-cwm-session': session },
        body: JSON.stringify({ model: sim.model, messages }),
      })
      if (!answer.ok) throw new Error(await answer.text())
      messages.push((await answer.json()).choices[0].message, { role: 'user', content: next })
    }
  }
}

async function filmTerminal(film) {
  await film.open(SIZE)
  film.caption = 'Freeze: save a live session under a name'
  const shell = new Shell({
    ...GRID,
    film,
    cwd: dirname(bin),
    env: { PATH: `${bin}:${process.env.PATH}`, TERM: 'xterm-256color', LANG: 'C.UTF-8', HOME: bin, CWM_URL: app.url },
  })
  try {
    await shell.shows(/\$/, 600)
    await shell.type('cwm windows freeze log --session observatory')
    await shell.shows(/stored: l2.*\n\$/s, 2_500)

    film.caption = 'The engine and LMCache restart: all their memory is gone'
    await shell.type('# now the engine and LMCache restart')
    await sim.restartEngine()
    await sim.restartLmcache()
    await shell.shows(/restart *\n\$/, 1_500)

    film.caption = 'Thaw: chat on from the window. Its KV is loaded, not computed'
    await shell.type('cwm chat --window log')
    await shell.shows(/\n> /, 500)
    await shell.type(question)
    await shell.shows(/blue bar[\s\S]*% of/, 3_000)
    await shell.type('/quit')
    await shell.shows(/\/quit *\n\$/, 200)

    film.caption = 'Ask: a question to the window, which stays as it is'
    await shell.type("cwm ask 'What has moved in under the steps?' --window log")
    await shell.shows(/asked log:[\s\S]*\n\$/, 2_500)

    film.caption = 'Watch: every session, how full it is, and how much was cached'
    await shell.type('cwm top')
    await shell.shows(/SESSION/, 3_000)
    shell.press('q')
    await shell.shows(/cwm top *\n\$/, 0)
  } finally {
    shell.close()
  }
}

async function filmDashboard(film) {
  const viewport = { ...SIZE, height: SIZE.height - CAPTION_HEIGHT }
  const page = await browser.newPage({ viewport, colorScheme: 'dark', reducedMotion: 'reduce' })
  film.caption = 'The same on the dashboard, which every cwm serves'
  for (const [path, text, ms] of [
    ['sessions', 'observatory', 2_800],
    ['windows/log', 'Thaw into a new session', 3_200],
    ['', 'Overview', 2_800],
  ]) {
    await page.goto(`${app.url}/cwm/ui/${path}`)
    await page.getByText(text).first().waitFor()
    // Charts and the event stream follow.
    await after(800)
    await film.still(await page.screenshot(), ms)
  }
}
