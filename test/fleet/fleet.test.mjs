// A short run of `npm run fleet`: everything that happens to a fleet there, with few sessions. No assertions on time.

import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildCwm } from '../support/built-cwm.ts'
import { skipsRedis } from '../support/redis-server.ts'

const main = fileURLToPath(new URL('../../scripts/fleet/main.mjs', import.meta.url))
const BUILD_MS = 240_000
const RUN_MS = 300_000

let built
beforeAll(async () => {
  built = await buildCwm()
}, BUILD_MS)
afterAll(() => built.dispose())

function fleet(...args) {
  const env = { ...process.env, FLEET_DIST: dirname(dirname(built.main)) }
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { timeout: RUN_MS, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

it.skipIf(skipsRedis)(
  'keeps every promise while a cwm, an engine and Redis die, engines come and go, and all are upgraded',
  async () => {
    const ended = await fleet('--sessions', '36', '--engines', '3')

    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toContain('every promise was kept')
  },
  RUN_MS,
)

it('reports each invalid option in a line', async () => {
  expect(await fleet('--sessions', '0', '--engines', 'many')).toEqual({
    code: 2,
    stdout: '',
    stderr: 'fleet: --sessions: a whole number from 1 to 100000\nfleet: --engines: a whole number from 3 to 16\n',
  })
})
