// Bodies that are small in bytes and large in values are rejected before the work is done, on each way in.

import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf, jsonOf } from '../../support/client.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const CHAT = '/v1/chat/completions'
const MIB = 1024 * 1024

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())
afterEach(() => stack.sim.requests.clear())

/** The number of requests rejected by this limit. */
async function refused(of: Stack, bound: string): Promise<number> {
  const { text } = await ask(of.url, '/cwm/metrics')
  return Number(new RegExp(`^cwm_refused_total\\{bound="${bound}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
}

/** The item, this many times. */
const many = (item: string, times: number) => `${`${item},`.repeat(times - 1)}${item}`
const gzip = { 'content-encoding': 'gzip', 'content-type': 'application/json' }
const asked = () => stack.sim.requests.all('engine').filter(({ method }) => method === 'POST').length

describe('a body that would cause too much work', () => {
  it.each([
    ['millions of empty messages', `{"messages":[${many('{}', 2 * MIB)}]}`, 'body_values', 'max_body_values'],
    ['millions of empty lists', `{"x":[${many('[]', MIB)}]}`, 'body_values', 'max_body_values'],
    ['millions of empty strings', `{"x":[${many('""', MIB)}]}`, 'body_values', 'max_body_values'],
    ['an object of half a million keys', `{${many('"k":0', 500_000)}}`, 'object_members', 'max_object_members'],
    ['a million repeated salts', `{${many('"cache_salt":""', MIB)}}`, 'object_members', 'max_object_members'],
    ['too many messages', `{"model":"m","messages":[${many('{}', 10_001)}]}`, 'messages', 'max_messages'],
    ['a million numbers for messages', `{"model":"m","messages":[${many('1', MIB)}]}`, 'messages', 'max_messages'],
  ])('is rejected with the limit and its setting: %s', async (_, body, bound, setting) => {
    const before = await refused(stack, bound)

    const got = await ask(stack.url, CHAT, { body })

    expect([got.status, errorOf(got).code]).toEqual([400, 'body_too_complex'])
    expect(errorOf(got).message).toContain(`(setting ${setting})`)
    expect(await refused(stack, bound)).toBe(before + 1)
    expect(asked()).toBe(0)
  })

  it('is rejected by its decompressed values, and by a second encoding', async () => {
    const text = `{"messages":[${many('{}', 2 * MIB)}]}`
    const once = await ask(stack.url, CHAT, { body: gzipSync(text), headers: gzip })
    const twice = await ask(stack.url, CHAT, {
      body: gzipSync(gzipSync(text)),
      headers: { ...gzip, 'content-encoding': 'gzip, gzip' },
    })

    expect([once.status, errorOf(once).code]).toEqual([413, 'body_too_large'])
    expect(errorOf(once).message).toContain('(setting max_unpacked_ratio)')
    expect(await refused(stack, 'unpacked_ratio')).toBe(1)
    expect([twice.status, errorOf(twice).code]).toEqual([415, 'unsupported_encoding'])
    expect(asked()).toBe(0)
  })

  it.each([
    ['cache_salt', '"cache_salt":"a","cache_salt":"b"'],
    ['cache_salt', '"cache_salt":"a","cache\\u005fsalt":null'],
    ['stream_options', '"stream":true,"stream_options":null,"stream_options":{}'],
    ['include_usage', '"stream":true,"stream_options":{"include_usage":false,"include_usage":0}'],
  ])('is rejected if it repeats what cwm sets: %s', async (field, members) => {
    const before = await refused(stack, 'repeated_member')

    const got = await ask(stack.url, CHAT, {
      body: `{"model":"sim-model","messages":[{"role":"user","content":"hi"}],${members}}`,
    })

    expect([got.status, errorOf(got).param]).toEqual([400, field])
    expect(errorOf(got).message).toBe(`\`${field}\` occurs more than once; cwm sets this field, so send it once`)
    expect(await refused(stack, 'repeated_member')).toBe(before + 1)
    expect(asked()).toBe(0)
  })

  it('is rejected if it repeats its messages, with a window to be put before them', async () => {
    await ask(stack.url, '/cwm/v1/windows/before', { method: 'PUT', body: { model: 'sim-model', document: 'Once.' } })
    stack.sim.requests.clear()
    const messages = '"messages":[{"role":"user","content":"hi"}]'

    const got = await ask(stack.url, CHAT, {
      body: `{"model":"sim-model","max_tokens":1,${messages},${messages}}`,
      headers: { 'content-type': 'application/json', 'x-cwm-window': 'before' },
    })

    expect([got.status, errorOf(got).param]).toEqual([400, 'messages'])
    expect(asked()).toBe(0)
  })

  it('is rejected when it creates a window', async () => {
    const path = '/cwm/v1/windows/w'
    const values = await ask(stack.url, path, { method: 'PUT', body: `{"model":"m","tools":[${many('{}', MIB)}]}` })
    const messages = await ask(stack.url, path, {
      method: 'PUT',
      body: `{"model":"m","messages":[${many('{}', 10_001)}]}`,
    })
    const keys = await ask(stack.url, '/cwm/v1/windows/import', {
      body: `{"format":"cwm-window",${many('"x":0', 20_001)}}`,
    })

    const told = [values, messages, keys].map((got) => [got.status, errorOf(got).code])
    expect(told).toEqual(Array.from({ length: 3 }, () => [400, 'body_too_complex']))
    expect(errorOf(values).message).toContain('max_body_values')
    expect(errorOf(messages).message).toContain('max_messages')
    expect(errorOf(keys).message).toContain('max_object_members')
  })
})

describe('with limits of the operator', () => {
  let small: Stack
  beforeAll(async () => {
    small = await startStack({ settings: { max_body_values: 50, max_object_members: 12, max_messages: 3 } })
  })
  afterAll(() => small.close())

  it('small bodies of REST and MCP are checked too', async () => {
    const rpc = (id: string) => `{"jsonrpc":"2.0","id":1,"method":"ping","params":{${id}}}`
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const mcp = await ask(small.url, '/cwm/mcp', { body: rpc(many('"k":0', 13)), headers })
    const fits = await ask(small.url, '/cwm/mcp', { body: rpc(''), headers })
    const broken = await ask(small.url, '/cwm/mcp', { body: '{"jsonrpc"', headers })
    const rest = await ask(small.url, '/cwm/v1/windows', { body: `{"name":"w","tags":[${many('""', 60)}]}` })

    expect([mcp.status, errorOf(mcp).message]).toEqual([
      400,
      'an object in the request body has more than 12 members (setting max_object_members)',
    ])
    expect(fits.status).toBe(200)
    expect([broken.status, jsonOf<{ error: { code: number } }>(broken).error.code]).toEqual([400, -32700])
    expect([rest.status, errorOf(rest).code]).toEqual([400, 'body_too_complex'])
    expect(await refused(small, 'object_members')).toBe(1)
  })
})

describe('a large legitimate body', () => {
  it('is accepted: a prompt of a million token ids', async () => {
    const got = await ask(stack.url, '/v1/completions', {
      body: `{"model":"sim-model","max_tokens":1,"prompt":[${many('100', MIB)}]}`,
    })

    // The simulated engine has its own token limit.
    expect(errorOf(got).code).not.toBe('body_too_complex')
    expect(asked()).toBe(1)
  })

  it('is accepted: 512 levels, but no more', async () => {
    const nested = (levels: number) => {
      const schema = `${'{"a":'.repeat(levels)}{}${'}'.repeat(levels)}`
      const tool = `{"type":"function","function":{"name":"f","parameters":${schema}}}`
      return `{"model":"sim-model","max_tokens":1,"messages":[{"role":"user","content":"hi"}],"tools":[${tool}]}`
    }
    // Levels around the schema: the body, the array, the tool, its function; and the innermost object.
    const deepest = await ask(stack.url, CHAT, { body: nested(507) })
    const deeper = await ask(stack.url, CHAT, { body: nested(508) })

    expect(deepest.status).toBe(200)
    expect([deeper.status, errorOf(deeper).code]).toEqual([400, 'body_too_deep'])
    expect(await refused(stack, 'depth')).toBe(1)
  })

  it('is accepted: several of two tenants at once', async () => {
    const body = (words: string) => ({
      model: 'sim-model',
      max_tokens: 1,
      messages: [{ role: 'user', content: words }],
      metadata: { padding: 'x'.repeat(5 * MIB) },
    })
    const headers = (key: string) => ({ 'content-type': 'application/json', authorization: `Bearer ${key}` })
    const answers = await Promise.all(
      ['a', 'a', 'a', 'b'].map((key, i) =>
        ask(stack.url, CHAT, { body: JSON.stringify(body(`${key} ${i}`)), headers: headers(key) }),
      ),
    )

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  })
})
