// Reloads of the real process: by SIGHUP, by REST, and by the command, with requests under way.

import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess } from '../support/cli-process.ts'
import { ask } from '../support/client.ts'
import { until } from '../support/deadline.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type ServeProcess, startServe } from '../support/serve-process.ts'

const KEYS = { staying: 'sk-acme-staying-0', coming: 'sk-acme-coming-0', operator: 'operator-0123456' }
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const CHAT = '/v1/chat/completions'
const turn = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }

let built: BuiltCwm
let upstream: FakeUpstream
let cwm: ServeProcess
let url: string
let file: string
let files = 0

beforeAll(async () => {
  built = await buildCwm()
})
afterAll(() => built.dispose())
beforeEach(async () => {
  upstream = await startFakeUpstream((_, response) => sayJson(response, chatAnswer('hi')))
  file = join(tmpdir(), `cwm-reload-${process.pid}-${files++}.yaml`)
  await write('staying')
  cwm = await startServe(built, { upstream: upstream.url, flags: { config: file } })
  url = await cwm.ready()
})
afterEach(async () => {
  await cwm.dispose()
  await upstream.close()
})

/** JSON is YAML. */
const write = (...names: readonly ('staying' | 'coming')[]) => writeSettings({}, names)

async function writeSettings(settings: object, names: readonly ('staying' | 'coming')[] = ['staying']): Promise<void> {
  const tenants = [{ id: 'acme', keys: names.map((name) => ({ name, sha256: keyHash(KEYS[name]) })) }]
  await writeFile(file, JSON.stringify({ tenants, operator_key: KEYS.operator, ...settings }))
}

const reloads = () => cwm.log.filter(({ msg }) => String(msg).startsWith('settings'))

async function hangUp(): Promise<Record<string, unknown>> {
  const before = reloads().length
  cwm.kill('SIGHUP')
  return await until('the reload is logged', () => reloads()[before])
}

const statusOf = async (key: string) => (await ask(url, CHAT, { body: turn, headers: bearer(key) })).status

/** Sends requests from ten clients until `stop`, at least 1,000. Returns how often each status came. */
async function requestsDuring(work: () => Promise<void>): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {}
  let sent = 0
  let working = true
  const client = async () => {
    while (working || sent < 1_000) {
      sent++
      const status = await statusOf(KEYS.staying)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  const clients = Promise.all(Array.from({ length: 10 }, client))
  // Spread over the requests.
  for (let i = 0; i < 10; i++) {
    await until('the next hundred requests', () => sent > 100 * i + 50)
    await write('staying', ...(i % 2 === 0 ? (['coming'] as const) : []))
    await work()
  }
  working = false
  await clients
  return statuses
}

describe('ten reloads during 1,000 requests', () => {
  it.each([
    [
      'by SIGHUP',
      async () => {
        expect(await hangUp()).toMatchObject({ msg: 'settings reloaded', by: 'sighup', changed: ['tenants'] })
      },
    ],
    [
      'by REST',
      async () => {
        const got = await ask(url, '/cwm/v1/reload', { body: {}, headers: bearer(KEYS.operator) })
        expect([got.status, got.text]).toEqual([200, expect.stringContaining('"changed":["tenants"]')])
      },
    ],
  ])(
    '%s fail none of them',
    async (_, reload) => {
      const statuses = await requestsDuring(reload)

      expect(Object.keys(statuses)).toEqual(['200'])
      expect(statuses[200]).toBeGreaterThanOrEqual(1_000)
      // The log is written by a stream of its own, which may follow the answer.
      await until('ten log lines', () => reloads().length >= 10)
      expect(reloads()).toHaveLength(10)
      expect(cwm.child.exitCode).toBeNull()
    },
    60_000,
  )
})

describe('SIGHUP', () => {
  it('adds and removes keys, and logs their names in one line, without their hashes', async () => {
    await write('coming')

    const line = await hangUp()

    expect(line).toEqual({
      level: 'info',
      time: expect.any(String) as string,
      by: 'sighup',
      changed: ['tenants'],
      keysAdded: ['acme/coming'],
      keysRemoved: ['acme/staying'],
      msg: 'settings reloaded',
    })
    expect([await statusOf(KEYS.staying), await statusOf(KEYS.coming)]).toEqual([401, 200])
    expect(cwm.output).not.toContain(keyHash(KEYS.coming))
  })

  it('changes the log level', async () => {
    await writeSettings({ log_level: 'error' })
    expect(await hangUp()).toMatchObject({ changed: ['log_level'] })
    await statusOf(KEYS.staying)
    await writeSettings({ log_level: 'info' })
    expect(await hangUp()).toMatchObject({ changed: ['log_level'] })
    await statusOf(KEYS.staying)
    await until('the request is logged', () => cwm.log.at(-1)?.msg === 'request')

    const lines = cwm.log.map(({ msg }) => msg)
    expect(lines.slice(lines.indexOf('settings reloaded'))).toEqual([
      'settings reloaded',
      'settings reloaded',
      'request',
    ])
  })

  it('with a faulty file changes nothing, and logs all faults', async () => {
    await writeSettings({ max_windows: -1, log_level: 'loud' }, ['coming'])

    const line = await hangUp()

    expect(line).toMatchObject({ level: 'error', msg: 'settings not reloaded; the previous ones stay in force' })
    expect(JSON.stringify(line)).toMatch(/log_level.*max_windows|max_windows.*log_level/)
    expect(await statusOf(KEYS.staying)).toBe(200)
  })

  it('keeps what flags and variables override, and reports what needs a restart', async () => {
    await writeSettings({ port: 1, connections: 7, max_windows: 5 })

    // The port is a flag here.
    expect(await hangUp()).toMatchObject({ changed: ['max_windows'], needsRestart: ['connections'] })
  })
})

describe('cwm reload', () => {
  const run = async (key: string, ...words: readonly string[]) => {
    const env = { CWM_URL: url, CWM_API_KEY: key }
    return await new CliProcess(built, ['reload', ...words], { env, input: '' }).result()
  }

  it('prints what changed', async () => {
    await writeSettings({ connections: 7 }, ['coming'])

    expect(await run(KEYS.operator)).toEqual({
      out: [
        'changed         tenants',
        'keys added      acme/coming',
        'keys removed    acme/staying',
        'needs a restart connections',
        '',
      ].join('\n'),
      err: '',
      ended: 0,
    })
    expect((await run(KEYS.operator)).out).toBe('needs a restart connections\n')
  })

  it('fails with the faults of the settings, and without the operator’s key', async () => {
    expect(await run(KEYS.staying)).toMatchObject({ err: expect.stringContaining("the operator's key"), ended: 1 })
    await writeSettings({ max_windows: -1 })

    expect(await run(KEYS.operator)).toMatchObject({ err: expect.stringContaining('max_windows'), ended: 1 })
  })
})
