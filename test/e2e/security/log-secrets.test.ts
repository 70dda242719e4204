// Logs everything that cwm does, failures included, at the lowest level, and then searches the log for secrets.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import { createLogger } from '../../../src/base/logger.ts'
import { type App, startApp } from '../../../src/compose/app.ts'
import { settingsSchema } from '../../../src/config/schema.ts'
import { type Sim, startSim } from '../../../src/sim/index.ts'
import { type Ask, ask, jsonOf } from '../../support/client.ts'
import { askChat, prose, saltsIn, user } from '../../support/conversation.ts'
import { settled } from '../../support/windows.ts'

const secrets = {
  client: 'sk-client-key-41d8',
  operator: 'operator-key-77aa21',
  upstream: 'engine-key-9f3c',
  encryption: Buffer.alloc(32, 7).toString('hex'),
}
const mine = { authorization: `Bearer ${secrets.client}` }
const operator = { authorization: `Bearer ${secrets.operator}` }
/** Appears in prompts, documents, notes, tools and engine errors; `prose` adds "harbour". */
const WORD = 'Kittiwake'

let sim: Sim
let app: App
let dataDir: string
let log = ''

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'cwm-day-'))
  sim = await startSim({ eventFlushMs: 0 })
  const settings = settingsSchema.parse({
    upstream: sim.engineUrl,
    coordinator: sim.coordinatorUrl,
    port: 0,
    data_dir: dataDir,
    retain: 'disk',
    drain_ms: 100,
    lmcache_timeout_ms: 500,
    verify_deadline_ms: 500,
    log_level: 'debug',
    upstream_api_key: secrets.upstream,
    operator_key: secrets.operator,
    encryption_key: secrets.encryption,
    tenants: [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash(secrets.client) }] }],
  })
  const write = (line: string) => {
    log += line
  }
  app = await startApp(settings, createLogger('debug', { write }))
})

afterAll(async () => {
  await app.close()
  await sim.close()
  await rm(dataDir, { recursive: true, force: true })
})

const rest = (method: string, path: string, body?: object) =>
  ask(app.url, `/cwm/v1/${path}`, { method, headers: mine, ...(body === undefined ? {} : { body }) })
const turn = (options: { headers?: Record<string, string>; body?: object } = {}) =>
  askChat(app.url, [user(`${WORD} ${prose(400)}`)], { ...options, headers: { ...mine, ...options.headers } })

async function workingHours(): Promise<void> {
  await turn({ headers: { 'x-cwm-freeze': 'morning', 'x-cwm-session': 'day' }, body: { cache_salt: `${WORD}-salt` } })
  await settled(app.url, 'morning', mine)
  await turn({ headers: { 'x-cwm-window': 'morning' }, body: { messages: [user(`${WORD}?`)], stream: true } })
  await turn({ body: { tools: [{ type: 'function', function: { name: WORD, parameters: {} } }], user: `${WORD}@x` } })
  for (const [path, body] of [
    ['/v1/messages', { system: WORD, messages: [user(WORD)], max_tokens: 4 }],
    ['/v1/responses', { input: WORD, instructions: WORD, metadata: { user_id: WORD } }],
    ['/v1/completions', { prompt: WORD, max_tokens: 4 }],
    ['/tokenize', { prompt: WORD }],
  ] as const) {
    await ask(app.url, path, { body: { model: 'sim-model', ...body }, headers: mine })
  }
  const document = `${WORD} ${prose(400)}`
  await rest('PUT', 'windows/paper', { model: 'sim-model', document, note: `${WORD} note`, tags: [`${WORD}-tag`] })
  await rest('PATCH', 'windows/paper', { note: `${WORD} again` })
  await rest('POST', 'windows/paper/clone', { name: 'copy', note: WORD })
  const file = jsonOf(await rest('GET', 'windows/paper/export'))
  await rest('POST', 'windows/import?name=brought', file)
  await rest('POST', 'windows/import?name=broken', { ...file, messages: [user(WORD)] })
  await rest('POST', 'windows/paper/thaw', { session_id: 'reader' })
  await rest('POST', 'windows/paper/thaw', { to: 'l1' })
  await rest('POST', 'windows', { name: 'evening', session_id: 'day' })
  await rest('DELETE', 'windows/copy')
  await rest('DELETE', 'sessions/reader')
  for (const path of ['audit', 'tenants/me', 'windows', 'sessions', 'deletions', 'health']) await rest('GET', path)
  await ask(app.url, '/cwm/metrics', { headers: operator })
  await ask(app.url, '/cwm/v1/windows', { headers: { ...operator, 'x-cwm-tenant': 'acme' } })
}

async function attacks(): Promise<void> {
  const odd: Ask[] = [
    { body: `{"${WORD}`, headers: mine },
    { body: Buffer.from([0x7b, 0xff, 0x7d]), headers: mine },
    { body: { model: WORD, messages: [user(WORD)], kv_transfer_params: { key: WORD } }, headers: mine },
    { body: { model: WORD, messages: [user(WORD)] }, headers: mine },
    { body: { messages: WORD }, headers: mine },
    { body: { messages: [user(WORD)] }, headers: { authorization: `Bearer ${WORD}-key` } },
    { body: { messages: [user(WORD)] }, headers: { ...mine, 'x-api-key': `${WORD}-key` } },
    { body: { messages: [user(WORD)] }, headers: { ...mine, 'x-cwm-window': `${WORD}?` } },
    { body: { messages: [user(WORD)] }, headers: { ...mine, 'x-cwm-secret': WORD } },
    { body: { messages: [user(WORD)] }, headers: { ...mine, origin: `http://${WORD}.example` } },
  ]
  for (const one of odd) await ask(app.url, '/v1/chat/completions', one)
  await ask(app.url, `/v1/${WORD}?q=${WORD}`, { headers: mine })
  await ask(app.url, `/cwm/v1/windows?search=${WORD}&cursor=${WORD}`, { headers: mine })
  await rest('PUT', 'windows/bad', { model: 'sim-model', messages: [user(WORD)], [WORD]: 1 })
}

async function failures(): Promise<void> {
  // vLLM's error messages quote their input.
  const body = { error: { message: `bad input: ${WORD} ${secrets.upstream}`, type: 'BadRequestError', code: 400 } }
  const quoting = { kind: 'status', status: 400, body } as const
  for (const path of ['/v1/chat/completions', '/v1/completions', '/tokenize', '/v1/models']) {
    sim.fault({ path, action: quoting, times: 3 })
    await turn({ headers: { 'x-cwm-freeze': `quoted-${path.split('/').at(-1)}` } })
    await settled(app.url, `quoted-${path.split('/').at(-1)}`, mine).catch(() => undefined)
    await turn({ headers: { 'x-cwm-window': 'morning' } })
    sim.clearFaults()
  }
  for (const path of ['/cache/pins', '/directory/lookup', '/cache/prefetch', '/cache/objects']) {
    sim.fault({ path, action: { kind: 'status', status: 500, body: { detail: `${WORD}` } }, times: 4 })
  }
  await rest('PUT', 'windows/unlucky', { model: 'sim-model', document: `${WORD} ${prose(500)}` })
  await rest('DELETE', 'windows/unlucky')
  sim.clearFaults()
  sim.fault({ path: '/v1/chat/completions', action: { kind: 'die-after-events', events: 2 } })
  await turn({ body: { stream: true } })
  sim.clearFaults()
  for (const server of ['coordinator', 'lmcache', 'engine'] as const) {
    await sim.setOnline(server, false)
    await turn({ headers: { 'x-cwm-freeze': `without-${server}` } })
    await settled(app.url, `without-${server}`, mine).catch(() => undefined)
    await rest('POST', 'windows/paper/thaw', {})
    await rest('DELETE', `windows/without-${server}`)
  }
  for (const server of ['engine', 'lmcache', 'coordinator'] as const) await sim.setOnline(server, true)
  await rest('DELETE', 'tenants/me')
}

describe('the log of all operations', () => {
  it('has each request and each operation, and no prompt, note, salt, key or secret', async () => {
    await workingHours()
    await attacks()
    await failures()
    const salts = sim.requests.all('engine').flatMap(({ body }) => saltsIn(body))
    const secret = (await readFile(join(dataDir, 'secret'), 'utf8')).trim()

    const hidden = [...new Set(salts), secret, ...Object.values(secrets), WORD, 'harbour', keyHash(secrets.client)]
    const messages = new Set(
      log
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { msg: string }).msg),
    )
    expect(new Set(salts).size).toBeGreaterThan(5)
    expect([...messages]).toEqual(
      expect.arrayContaining(['request', 'window frozen', 'window thawed', 'freeze failed', 'deleted']),
    )
    expect(hidden.filter((text) => log.toLowerCase().includes(text.toLowerCase()))).toEqual([])
  }, 60_000)
})
