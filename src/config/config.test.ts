// Settings from flags, environment, and file, and the errors for invalid ones.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { loadSettings, type SettingSources, unknownVariables, variableOf } from './load.ts'
import { type Settings, settingNames } from './schema.ts'
import { describeSetting, rangeOf } from './setting-facts.ts'

let folder = ''
let files = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function fileOf(text: string): Promise<string> {
  const file = join(folder, `${files++}.yaml`)
  await writeFile(file, text)
  return file
}

const upstream = { upstream: 'http://127.0.0.1:8000' }

function load(sources: Partial<SettingSources>): Promise<Settings> {
  return loadSettings({ flags: upstream, environment: {}, file: undefined, ...sources })
}

async function faults(sources: Partial<SettingSources>): Promise<string> {
  try {
    await load(sources)
    return ''
  } catch (thrown) {
    if (thrown instanceof CwmError && thrown.code === 'CONFIG') return thrown.message
    throw thrown
  }
}

describe('loadSettings', () => {
  it('prefers a flag to a variable, a variable to the file, and the file to the default', async () => {
    const file = await fileOf('port: 1\nhost: file\nconnections: 11\nlog_level: warn\nany_key: true\n')
    const environment = { CWM_PORT: '2', CWM_HOST: 'variable', CWM_CONNECTIONS: '12' }

    const settings = await load({ file, environment, flags: { ...upstream, port: '3', host: undefined } })

    expect(settings).toMatchObject({ port: 3, host: 'variable', connections: 12, log_level: 'warn', kv_epoch: 0 })
  })

  it('requires only the upstream, and listens on this machine only', async () => {
    expect(await load({})).toMatchObject({
      host: '127.0.0.1',
      port: 8787,
      routes: {},
      allowed_hosts: [],
      allowed_fields: [],
    })
  })

  it('reads the variables of OpenTelemetry, after its own and the file', async () => {
    const standard = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://standard:4318', OTEL_EXPORTER_OTLP_HEADERS: 'a=b' }
    const file = await fileOf('otlp_endpoint: http://file:4318\n')
    const endpointOf = async (sources: Partial<SettingSources>) => (await load(sources)).otlp_endpoint

    expect(await load({ environment: standard })).toMatchObject({
      otlp_endpoint: 'http://standard:4318',
      otlp_headers: 'a=b',
    })
    expect(await endpointOf({ environment: standard, file })).toBe('http://file:4318')
    expect(await endpointOf({ environment: { ...standard, CWM_OTLP_ENDPOINT: 'http://own:4318' } })).toBe(
      'http://own:4318',
    )
    expect(await endpointOf({ environment: { ...standard, OTEL_SDK_DISABLED: 'true' } })).toBeUndefined()
    expect(await faults({ environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://x' } })).toContain(
      'otlp_endpoint: must begin with http:// or https:// (OTEL_EXPORTER_OTLP_ENDPOINT)',
    )
    expect(await faults({ environment: { CWM_OTLP_HEADERS: 'hunter2' } })).toMatch(
      /otlp_headers: must be a list of name=value pairs.*\(CWM_OTLP_HEADERS\)/,
    )
  })

  it('explains how to set the upstream if it is missing', async () => {
    expect(await faults({ flags: {} })).toContain(
      'upstream: required; give the address of the engine, for example --upstream',
    )
  })

  it('reports all errors at once, each with its source', async () => {
    const file = await fileOf('prot: 5\nlog_level: loud\nroutes:\n  slated: {}\n')
    const environment = { CWM_PORT: '99999', CWM_MAX_BODY_BYTES: 'many' }

    const text = await faults({ file, environment, flags: { upstream: 'ftp://x', connections: '0' } })

    expect(
      text
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(':')[0]),
    ).toEqual(
      expect.arrayContaining([
        'prot',
        'log_level',
        'routes.slated',
        'port',
        'max_body_bytes',
        'upstream',
        'connections',
      ]),
    )
    expect(text).toContain(`prot: not a setting (${file})`)
    expect(text).toMatch(/port: .*\(CWM_PORT\)/)
    expect(text).toMatch(/upstream: must begin with http:\/\/ or https:\/\/.*\(--upstream\)/)
    expect(text).toMatch(/connections: .*\(--connections\)/)
  })

  it.each([
    ['port: [1', 'is not valid YAML: bad indent at line 1, column 9'],
    ['port: 1\nport: 2', 'is not valid YAML: duplicate key at line 2, column 1'],
    ['host: x\nallowed_hosts: [*.example]', 'is not valid YAML: alias without an anchor at line 2, column 17'],
    ['- port', 'must be a map of settings'],
    ['just text', 'must be a map of settings'],
    ['5', 'must be a map of settings'],
  ])('rejects the file %j', async (text, words) => {
    expect(await faults({ file: await fileOf(text) })).toContain(words)
  })

  it.each([
    'secret: "hunter2\n',
    'secret: *hunter2\n',
    'secret: hunter2: hunter2\n',
    'secret: "\\hunter2"\n',
    'secret: [hunter2\nport: 5\n',
    '{ secret: hunter2 } hunter2\n',
  ])('reports the position of the error in %j, and none of its text', async (text) => {
    const told = await faults({ file: await fileOf(text) })

    expect(told).toMatch(/ at line [12], column \d+$/)
    expect(told).not.toContain('hunter2')
  })

  // The parser would print the line.
  it('does not warn about an unknown tag', async () => {
    const warn = vi.spyOn(process, 'emitWarning')
    onTestFinished(() => warn.mockRestore())

    const settings = await load({ file: await fileOf('data_dir: !secret hunter2\n') })

    expect(settings.data_dir).toBe('hunter2')
    expect(warn).not.toHaveBeenCalled()
  })

  it('rejects a missing file', async () => {
    expect(await faults({ file: join(folder, 'none.yaml') })).toContain('cannot be read')
  })

  it('reads JSON, which is YAML, and an empty file', async () => {
    expect(await load({ file: await fileOf('{"port": 5, "allowed_fields": ["priority"]}') })).toMatchObject({
      port: 5,
      allowed_fields: ['priority'],
    })
    expect(await load({ file: await fileOf('# nothing\n') })).toMatchObject({ port: 8787 })
  })

  // A port of 0 would pick a free port, and a timeout of 0 would mean no limit. Neither was requested.
  it('treats a setting without a value as not set', async () => {
    expect(await load({ file: await fileOf('port:\nheaders_timeout_ms: ~\nhost: null\n') })).toMatchObject({
      port: 8787,
      headers_timeout_ms: 1_800_000,
      host: '127.0.0.1',
    })
    expect(await load({ environment: { CWM_PORT: '' } })).toMatchObject({ port: 8787 })
  })

  it.each([
    ['port', '70000', 'port: must be a whole number from 0 to 65535'],
    ['port', '1.5', 'port: must be a whole number from 0 to 65535'],
    ['freeze_at', '2', 'freeze_at: must be a number between 0 and 1'],
    ['freeze_at', '-0.1', 'freeze_at: must be a number between 0 and 1'],
    ['rollover_to', 'half', 'rollover_to: must be a number between 0 and 1'],
    ['connections', '0', 'connections: must be a whole number, 1 or more'],
    ['max_body_bytes', '12', 'max_body_bytes: must be a whole number of bytes, 1024 or more'],
    ['drain_ms', '-1', 'drain_ms: must be a whole number of milliseconds, 0 or more'],
    ['kv_quota_gb', '0', 'kv_quota_gb: must be a number above 0'],
    ['any_key', 'perhaps', 'any_key: must be true or false'],
    ['overflow', 'cut', 'overflow: must be one of pass, reject, rollover'],
    ['operator_key', 'short', 'operator_key: must be text of 16 characters or more'],
  ])('reports which values %s accepts when it is %s, from a flag or a file', async (name, value, words) => {
    expect(await faults({ flags: { ...upstream, [name]: value } })).toContain(`\n  ${words} (--`)
    expect(await faults({ file: await fileOf(`${name}: ${value}`) })).toContain(`\n  ${words} (`)
  })

  it.each(['12', 'many', '[]'])('reports the smallest allowed limit when one is %s', async (limit) => {
    const words = 'limits.tiny: must be a whole number of tokens, 16 or more'

    expect(await faults({ file: await fileOf(`limits: { tiny: ${limit} }`) })).toContain(words)
  })

  it.each(['true', '[]', '[5]', '1.5', '-1', '"0x10"', '"1e3"', '" "', '"5 "', '.inf', '{}'])(
    'rejects %s as a number',
    async (text) => {
      const told = await faults({ file: await fileOf(`port: ${text}`) })

      expect(told === '').toBe(text === '"5 "')
    },
  )

  it.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])('reads the flag %j', async (text, wanted) => {
    expect((await load({ environment: { CWM_PRESERVE_HOST: text } })).preserve_host).toBe(wanted)
  })

  it('rejects an unclear boolean', async () => {
    expect(await faults({ environment: { CWM_PRESERVE_HOST: 'nope' } })).toContain('preserve_host')
  })

  // An empty name in allowed_hosts would admit requests without a Host header.
  it('splits names at commas and leaves empty ones out', async () => {
    expect((await load({ environment: { CWM_ALLOWED_HOSTS: ' a.example, ,b.example,' } })).allowed_hosts).toEqual([
      'a.example',
      'b.example',
    ])
  })

  it.each(['http://', 'http://a b', 'ftp://x', '127.0.0.1:8000', 'http://:8000', 'http://x:99999'])(
    'rejects the address %j',
    async (address) => {
      expect(await faults({ flags: { upstream: address } })).toContain('upstream: must be')
    },
  )

  it.each(['v1/x', '/v1/x?y', '/v1/%78', '/v1//x', '/v1/../x', '/v1/x;y', '/v1/x#y', '/v1 /x'])(
    'rejects the route %j, which no request could match',
    async (path) => {
      expect(await faults({ file: await fileOf(JSON.stringify({ routes: { plain: { [path]: ['GET'] } } })) })).not.toBe(
        '',
      )
    },
  )

  it('accepts additional routes by path', async () => {
    const routes = { salted: { '/v2/chat': 'chat' }, plain: { '/v1/audio/voices': ['GET'] } }

    expect((await load({ file: await fileOf(JSON.stringify({ routes })) })).routes).toEqual(routes)
  })

  it('never shows the value of a secret in an error', async () => {
    const text = await faults({ environment: { CWM_OPERATOR_KEY: 'hunter2' }, flags: { upstream: 'http://me:pw@ x' } })

    expect(text).toContain('operator_key')
    expect(text).not.toContain('hunter2')
    expect(text).not.toContain('me:pw')
  })
})

describe('every setting', () => {
  it.each(settingNames)('%s is described', (name) => {
    expect(describeSetting(name).length).toBeGreaterThan(10)
  })

  it.each(settingNames)('%s says which values it accepts', (name) => {
    expect(rangeOf(name)).toMatch(/^(an? |one of |true or |text|sqlite|32 bytes|tokens)/)
  })

  it.each(settingNames.filter((name) => /_ms$/.test(name)))('%s says its unit', (name) => {
    expect(describeSetting(name)).toContain('milliseconds')
  })

  it('has a variable of its own', () => {
    expect(variableOf('max_body_bytes')).toBe('CWM_MAX_BODY_BYTES')
    expect(new Set(settingNames.map(variableOf)).size).toBe(settingNames.length)
  })
})

describe('a variable that looks like a setting', () => {
  it('is reported if it is not one', () => {
    const environment = { CWM_COORDINATR: 'x', CWM_UPSTREAM: 'http://x', CWM_CONFIG: 'f', HOME: '/' }

    expect(unknownVariables(environment)).toEqual(['CWM_COORDINATR'])
  })
})
