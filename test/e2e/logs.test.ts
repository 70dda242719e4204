// The real process: what `cwm serve` writes to its standard error holds no prompt, key, salt or secret, whatever goes wrong.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sim, startSim } from '../../src/sim/index.ts'
import { ask } from '../support/client.ts'
import { askChat, prose, saltsIn, user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'

const root = new URL('../..', import.meta.url).pathname
let sim: Sim
let cwm: ChildProcess
let dataDir: string
let built: string
let errors = ''
let exit: Promise<unknown>

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'cwm-logs-'))
  // Built apart, so that what runs is this source and nobody else's dist.
  built = join(root, 'node_modules', '.cache', `cwm-e2e-${process.pid}`)
  await mkdir(built, { recursive: true })
  await copyFile(join(root, 'package.json'), join(built, 'package.json'))
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  execFileSync(tsc, ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', join(built, 'dist')], { cwd: root })
  sim = await startSim({ eventFlushMs: 0 })
  cwm = spawn(
    process.execPath,
    [
      join(built, 'dist', 'cli', 'main.js'),
      'serve',
      '--upstream',
      sim.engineUrl,
      '--coordinator',
      sim.coordinatorUrl,
      '--port',
      '0',
      '--data-dir',
      dataDir,
    ],
    {
      cwd: dataDir,
      env: {
        PATH: process.env.PATH,
        CWM_UPSTREAM_API_KEY: 'engine-key-9f3c',
        CWM_OPERATOR_KEY: 'operator-key-77aa21',
        CWM_LOG_LEVEL: 'debug',
        CWM_DRAIN_MS: '500',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  exit = once(cwm, 'exit')
  cwm.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
}, 60_000)

afterAll(async () => {
  if (cwm.exitCode === null) cwm.kill('SIGKILL')
  await exit
  await sim.close()
  await rm(dataDir, { recursive: true, force: true })
  await rm(built, { recursive: true, force: true })
})

describe('cwm serve', () => {
  it('logs each request once and nothing that is secret, and ends with 0 on SIGTERM', async () => {
    const url = await until('the ready line', () => /ready\s+(http:\/\/\S+)\/v1/.exec(errors)?.[1], 15_000)
    const key = { authorization: 'Bearer client-key-41d8' }
    const words = `Kittiwake ${prose(500)}. Kittiwakes nest here.`
    await askChat(url, [user(words)], {
      headers: { ...key, 'x-cwm-freeze': 'w' },
      body: { cache_salt: 'client-salt-5b' },
    })
    await ask(url, '/cwm/v1/windows/w?wait_ms=5000', { headers: key })
    await askChat(url, [user('Kittiwake?')], { headers: { ...key, 'x-cwm-window': 'w' } })
    await ask(url, '/v1/chat/completions', { body: '{"Kittiwake', headers: key })
    await askChat(url, [user('Kittiwake')], { headers: { ...key, 'x-cwm-window': 'Kittiwake?' } })
    sim.fault({ path: '/v1/chat/completions', action: { kind: 'die-after-events', events: 2 } })
    await askChat(url, [user('Kittiwake')], { headers: key, body: { stream: true } })
    sim.fault({
      path: '/v1/completions',
      action: { kind: 'status', status: 400, body: { error: { message: `out of memory` } } },
    })
    await askChat(url, [user(words)], { headers: { ...key, 'x-cwm-freeze': 'w2' } })
    await ask(url, '/cwm/v1/windows/w2?wait_ms=5000', { headers: key })
    await sim.setUp('coordinator', false)
    await askChat(url, [user(words)], { headers: { ...key, 'x-cwm-freeze': 'w3' } })
    await ask(url, '/cwm/v1/windows/w3?wait_ms=20000', { headers: key })
    await ask(url, '/cwm/metrics', { headers: { authorization: 'Bearer operator-key-77aa21' } })
    const salts = sim.requests.all('engine').flatMap((entry) => saltsIn(entry.body))

    cwm.kill('SIGTERM')
    await within('cwm ends', exit, 10_000)

    const secret = (await readFile(join(dataDir, 'secret'), 'utf8')).trim()
    expect(cwm.exitCode).toBe(0)
    expect(salts.length).toBeGreaterThan(3)
    for (const hidden of [
      ...new Set(salts),
      secret,
      'client-key-41d8',
      'engine-key-9f3c',
      'operator-key-77aa21',
      'client-salt-5b',
      'Kittiwake',
      'harbour',
    ]) {
      expect(errors.includes(hidden), `the log holds ${hidden.slice(0, 12)}`).toBe(false)
    }
    const lines = errors
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    const requests = lines.filter((line) => line.msg === 'request' && line.route === '/v1/chat/completions')
    expect(requests).toHaveLength(7)
    expect(requests[0]).toMatchObject({ method: 'POST', status: 200, session: expect.stringMatching(/^s-/) })
  }, 60_000)
})
