// The real process: the standard error of `cwm serve` contains no prompt, key, salt, or secret, whatever goes wrong.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sim, startSim } from '../../src/sim/index.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { ask } from '../support/client.ts'
import { askChat, prose, saltsIn, user } from '../support/conversation.ts'
import { type ServeProcess, startServe } from '../support/serve-process.ts'

let sim: Sim
let built: BuiltCwm
let cwm: ServeProcess

beforeAll(async () => {
  built = await buildCwm()
  sim = await startSim({ eventFlushMs: 0 })
  cwm = await startServe(built, {
    upstream: sim.engineUrl,
    flags: { coordinator: sim.coordinatorUrl },
    env: {
      CWM_UPSTREAM_API_KEY: 'engine-key-9f3c',
      CWM_OPERATOR_KEY: 'operator-key-77aa21',
      CWM_LOG_LEVEL: 'debug',
      CWM_DRAIN_MS: '500',
    },
  })
})

afterAll(async () => {
  await cwm.dispose()
  await sim.close()
  await built.dispose()
})

describe('cwm serve', () => {
  it('logs each request once and nothing secret, and exits with 0 on SIGTERM', async () => {
    const url = await cwm.ready()
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
    await sim.setOnline('coordinator', false)
    await askChat(url, [user(words)], { headers: { ...key, 'x-cwm-freeze': 'w3' } })
    await ask(url, '/cwm/v1/windows/w3?wait_ms=20000', { headers: key })
    await ask(url, '/cwm/metrics', { headers: { authorization: 'Bearer operator-key-77aa21' } })
    const salts = sim.requests.all('engine').flatMap((entry) => saltsIn(entry.body))

    cwm.kill('SIGTERM')
    const exitCode = await cwm.ended()

    const secret = (await readFile(join(cwm.dataDir, 'secret'), 'utf8')).trim()
    expect(exitCode).toBe(0)
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
      expect(cwm.output.includes(hidden), `the log holds ${hidden.slice(0, 12)}`).toBe(false)
    }
    const requests = cwm.log.filter((line) => line.msg === 'request' && line.route === '/v1/chat/completions')
    expect(requests).toHaveLength(7)
    expect(requests[0]).toMatchObject({ method: 'POST', status: 200, session: expect.stringMatching(/^s-/) })
  }, 60_000)
})
