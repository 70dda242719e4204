// Standard error of the real process has one format: JSON for machines, text for people.

import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Sim, startSim } from '../../src/sim/index.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { ask } from '../support/client.ts'
import { type ServeOptions, type ServeProcess, startServe } from '../support/serve-process.ts'

let sim: Sim
let built: BuiltCwm
let cwm: ServeProcess
beforeAll(async () => {
  built = await buildCwm()
  sim = await startSim({ lmcache: false })
})
afterEach(() => cwm.dispose())
afterAll(async () => {
  await sim.close()
  await built.dispose()
})

/** Causes every kind of line: banner, unknown setting, request, warning of Node, console output of a library, and shutdown. */
async function wholeLife(options: Omit<ServeOptions, 'upstream'>): Promise<readonly string[]> {
  const planted =
    "process.once('SIGUSR2', () => { process.emitWarning('of node'); console.error('of a library\\nin two lines') })"
  cwm = await startServe(built, {
    upstream: sim.engineUrl,
    ...options,
    node: ['--import', `data:text/javascript,${encodeURIComponent(planted)}`],
    env: { CWM_PROT: '1', ...options.env },
  })
  const url = await cwm.ready()
  cwm.kill('SIGUSR2')
  await ask(url, '/v1/models')
  cwm.kill('SIGTERM')
  expect(await cwm.ended()).toBe(0)
  return cwm.output.trimEnd().split('\n')
}

describe('standard error', () => {
  it('has a JSON object on every line unless it is a terminal', async () => {
    const lines = (await wholeLife({})).map((line) => JSON.parse(line) as Record<string, unknown>)

    const url = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1$/)
    const dashboard = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/cwm\/$/)
    const told = [
      { level: 'info', about: 'engine', msg: expect.stringContaining(` serves ${sim.model} `) },
      { level: 'info', about: 'store', msg: expect.stringContaining('secret from') },
      { level: 'warn', variable: 'CWM_PROT', msg: 'CWM_PROT is not a setting of cwm; see cwm serve --help' },
      { level: 'info', msg: 'ready', url, dashboard },
      { level: 'info', msg: 'request', route: '/v1/models', status: 200 },
      { level: 'warn', name: 'Warning', msg: 'of node' },
      { level: 'error', msg: 'of a library\nin two lines' },
      { level: 'info', msg: 'stopping: current answers may finish; send a second signal to stop at once' },
    ]
    for (const line of told) expect(lines).toContainEqual(expect.objectContaining(line))
    expect(lines.every(({ level, time, msg }) => level && time && msg)).toBe(true)
  })

  it('is text if set: the banner, and one line per request, without colors', async () => {
    const output = (await wholeLife({ env: { CWM_LOG_FORMAT: 'text' } })).join('\n')

    expect(output).toMatch(/^engine {4}http:/m)
    expect(output).toMatch(/^ready {5}http:\/\/127\.0\.0\.1:\d+\/v1 /m)
    expect(output).toMatch(/^dashboard http:/m)
    expect(output).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}request request=\S+ method=GET route=\/v1\/models status=200 /m,
    )
    expect(output).toMatch(/^stopping: /m)
    expect(output).not.toMatch(/^\{/m)
    expect(output).not.toContain('\u001b')
  })

  it('reports startup failures as JSON too, at every level, with exit code 1', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }

    cwm = await startServe(built, { upstream: sim.engineUrl, flags: { port, 'log-level': 'silent' } })
    const code = await cwm.ended()
    taken.close()

    const lines = cwm.output.trimEnd().split('\n')
    expect(code).toBe(1)
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { level: 'error', code: 'config', msg: expect.stringContaining(String(port)) },
    ])
  })
})
