// The log line of each request: tenant, model, time to first byte, and cached tokens.

import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '../../src/base/logger.ts'
import { version } from '../../src/base/version.ts'
import { type App, startApp } from '../../src/compose/app.ts'
import { settingsSchema } from '../../src/config/schema.ts'
import { type Sim, startSim } from '../../src/sim/index.ts'
import { ask } from '../support/client.ts'
import { until } from '../support/deadline.ts'

const lines: Record<string, unknown>[] = []
const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>)
const requestLines = () => lines.filter(({ msg }) => msg === 'request')

let sim: Sim
let app: App
let dataDir: string
beforeAll(async () => {
  sim = await startSim({ lmcache: false })
  dataDir = await mkdtemp(join(tmpdir(), 'cwm-e2e-'))
  const tenants = [
    { id: 'acme', keys: [{ name: 'laptop', sha256: createHash('sha256').update('key-of-acme').digest('hex') }] },
  ]
  const settings = { upstream: sim.engineUrl, port: 0, data_dir: dataDir, drain_ms: 100, tenants }
  app = await startApp(settingsSchema.parse(settings), createLogger('info', { write }))
})
afterAll(async () => {
  await app.close()
  await sim.close()
  await rm(dataDir, { recursive: true, force: true })
})

describe('the log line of a request', () => {
  it.each([true, false])(
    'has tenant, key, model, time to first token and cached tokens (stream: %s)',
    async (stream) => {
      const before = requestLines().length
      const body = { model: sim.model, stream, messages: [{ role: 'user', content: 'a word' }] }

      await ask(app.url, '/v1/chat/completions', { body, headers: { authorization: 'Bearer key-of-acme' } })
      const line = await until('its line', () => requestLines()[before])

      expect(line).toMatchObject({
        level: 'info',
        tenant: 'acme',
        key: 'laptop',
        model: sim.model,
        status: 200,
        ttftMs: expect.any(Number),
        promptTokens: expect.any(Number),
        cachedTokens: expect.any(Number),
      })
      expect(JSON.stringify(lines)).not.toMatch(/key-of-acme|a word/)
    },
  )

  it('omits the name of a model that is not served, which may be any text', async () => {
    const before = requestLines().length
    const body = { model: 'a word of the prompt', messages: [] }

    await ask(app.url, '/v1/chat/completions', { body, headers: { authorization: 'Bearer key-of-acme' } })
    const line = await until('its line', () => requestLines()[before])

    expect(line.model).toBe('other')
  })

  it('has no tenant if the key is unknown', async () => {
    const before = requestLines().length

    await ask(app.url, '/v1/chat/completions', { body: {}, headers: { authorization: 'Bearer unknown' } })
    const line = await until('its line', () => requestLines()[before])

    expect([line.status, line.tenant, line.key]).toEqual([401, undefined, undefined])
  })
})

it('the metrics contain the versions of cwm and Node', async () => {
  const { text } = await ask(app.url, '/cwm/metrics')

  expect(text).toContain(`cwm_build_info{version="${version}",node="${process.versions.node}"} 1`)
})
