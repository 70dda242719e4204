// Listed tenants end to end: which keys are accepted, what two keys of one tenant share, and which key the upstream sees.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { askChat, chat, prose, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const keys = {
  old: 'sk-acme-old-0123',
  new: 'sk-acme-new-0123',
  other: 'sk-other-0123456',
  operator: 'operator-0123456',
}
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const key = (name: string, text: string) => ({ name, sha256: keyHash(text) })

const tenants: NonNullable<Settings['tenants']> = [
  { id: 'acme', keys: [key('old', keys.old), key('new', keys.new)] },
  { id: 'other', keys: [key('main', keys.other)] },
]

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ settings: { tenants, operator_key: keys.operator } })
})
afterAll(() => stack.close())

/** All headers that reached the engine, as text. */
function seenByEngine(): string {
  return stack.sim.requests
    .all('engine')
    .map(({ rawHeaders }) => rawHeaders.join('\n'))
    .join('\n')
}

describe('an unknown key', () => {
  const conversation = { body: { model: 'sim-model', messages: [user('hello')] } }
  const paths: [method: string, path: string, body?: object][] = [
    ['POST', '/v1/chat/completions', conversation.body],
    ['POST', '/cwm/s/mine/v1/chat/completions', conversation.body],
    ['POST', '/cwm/w/mine/v1/chat/completions', conversation.body],
    ['POST', '/v1/messages', { ...conversation.body, max_tokens: 5 }],
    ['POST', '/tokenize', { model: 'sim-model', prompt: 'x' }],
    ['GET', '/v1/models'],
    ['GET', '/health'],
    ['GET', '/v1/responses/resp_1'],
    ['GET', '/cwm/v1/windows'],
    ['GET', '/cwm/v1/windows/mine'],
    ['GET', '/cwm/v1/sessions'],
    ['GET', '/cwm/v1/audit'],
    ['GET', '/cwm/v1/tenants/me'],
    ['DELETE', '/cwm/v1/tenants/me'],
    ['GET', '/cwm/metrics'],
  ]

  it.each(paths)('%s %s is rejected, like a missing key, and nothing goes upstream', async (method, path, body) => {
    const before = stack.sim.requests.all('engine').length

    for (const headers of [{}, bearer('sk-nobody'), { 'x-api-key': keyHash(keys.old) }, bearer(`${keys.old}x`)]) {
      const got = await ask(stack.url, path, { method, headers, ...(body === undefined ? {} : { body }) })
      expect(got.status).toBe(401)
      expect(errorOf(got)).toMatchObject({ type: 'authentication_error' })
    }
    expect(stack.sim.requests.all('engine').length).toBe(before)
  })

  it("is rejected in Anthropic's format on Anthropic's path", async () => {
    const got = await ask(stack.url, '/v1/messages', { body: { ...conversation.body, max_tokens: 5 } })

    expect(got.status).toBe(401)
    expect(jsonOf(got)).toMatchObject({ type: 'error', error: { type: 'authentication_error' } })
  })
})

it('two different keys in one request are rejected, even of one tenant', async () => {
  const headers = { ...bearer(keys.old), 'x-api-key': keys.new }

  for (const got of [
    await askChat(stack.url, [user('hello')], { headers }),
    await ask(stack.url, '/cwm/v1/windows', { headers }),
  ]) {
    expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_header'])
  }
})

describe('keys of one tenant', () => {
  it('see the same sessions and windows, which other tenants do not see', async () => {
    const first = await chat(stack.url, [user(prose(300))], {
      headers: { ...bearer(keys.old), 'x-cwm-session': 'shared', 'x-cwm-freeze': 'shared-window' },
    })
    await settled(stack.url, 'shared-window', bearer(keys.new))

    const second = await chat(stack.url, [user(prose(300)), first.reply, user('go on')], {
      headers: { ...bearer(keys.new), 'x-cwm-session': 'shared' },
    })

    expect(second.session).toBe('shared')
    expect(second.cachedTokens).toBeGreaterThan(0)
    const names = async (of: string) => {
      const got = await ask(stack.url, '/cwm/v1/windows', { headers: bearer(of) })
      return jsonOf<{ data: { name: string }[] }>(got).data.map(({ name }) => name)
    }
    expect([await names(keys.old), await names(keys.new), await names(keys.other)]).toEqual([
      ['shared-window'],
      ['shared-window'],
      [],
    ])
    const stolen = await askChat(stack.url, [user('mine now')], {
      headers: { ...bearer(keys.other), 'x-cwm-window': 'shared-window' },
    })
    expect(stolen.status).toBe(404)
  })

  it('can be rotated without losing a window', async () => {
    await chat(stack.url, [user(prose(300, 'meadow'))], {
      headers: { ...bearer(keys.old), 'x-cwm-freeze': 'before-rotation' },
    })
    await settled(stack.url, 'before-rotation', bearer(keys.old))

    await stack.restart({ tenants: [{ id: 'acme', keys: [key('new', keys.new)] }] })
    try {
      const old = await ask(stack.url, '/cwm/v1/windows', { headers: bearer(keys.old) })
      const thawed = await chat(stack.url, [user('what runs past the mills?')], {
        headers: { ...bearer(keys.new), 'x-cwm-window': 'before-rotation' },
      })

      expect(old.status).toBe(401)
      expect(Number(thawed.got.headers['x-cwm-restored'])).toBeGreaterThan(0)
    } finally {
      await stack.restart({ tenants })
    }
  })
})

describe('the upstream', () => {
  beforeEach(async () => {
    stack.sim.requests.clear()
  })

  async function useEveryPath(of: string): Promise<void> {
    const credentials = [bearer(of), { 'x-api-key': of }, { ...bearer(of), 'api-key': of }]
    for (const [i, headers] of credentials.entries()) {
      await chat(stack.url, [user(prose(300, 'orchard'))], {
        headers: { ...headers, 'x-cwm-freeze': `keyless-${i}-${of}` },
      })
      await settled(stack.url, `keyless-${i}-${of}`, bearer(of))
      await chat(stack.url, [user('and then?')], { headers: { ...headers, 'x-cwm-window': `keyless-${i}-${of}` } })
      await ask(stack.url, '/v1/models', { headers })
      await ask(stack.url, '/tokenize', { headers, body: { model: 'sim-model', prompt: 'x' } })
      await ask(stack.url, '/v1/chat/completions', { method: 'OPTIONS', headers })
    }
  }

  it('gets no key if none is configured: on turns, plain paths, preflights, freezes, or thaws', async () => {
    await useEveryPath(keys.old)

    const seen = seenByEngine()
    expect(stack.sim.requests.all('engine').length).toBeGreaterThan(10)
    expect(seen).not.toContain(keys.old)
    expect(seen).not.toMatch(/^(authorization|x-api-key|api-key)$/im)
  })

  it("gets its own key if configured, and never the client's", async () => {
    await stack.restart({ upstream_api_key: 'the-engine-key' })
    stack.sim.requests.clear()

    await useEveryPath(keys.other)

    const calls = stack.sim.requests.all('engine').filter(({ method }) => method === 'POST')
    expect(calls.length).toBeGreaterThan(5)
    for (const { headers } of calls) expect(headers.authorization).toBe('Bearer the-engine-key')
    expect(seenByEngine()).not.toContain(keys.other)
  })
})
