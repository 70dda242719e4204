// A salt names KV. Learning one, or bringing one in, must not give access.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf, jsonOf } from '../../support/client.ts'
import { chat, prose, saltsIn, user } from '../../support/conversation.ts'
import { type Stack, startStack } from '../../support/stack.ts'
import { settled } from '../../support/windows.ts'

const CHAT = '/v1/chat/completions'
const key = (name: string) => ({ authorization: `Bearer ${name}` })
const operatorKey = 'operator-key-of-these-tests'

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ settings: { operator_key: operatorKey } })
})
afterEach(() => stack.sim.requests.clear())
afterAll(() => stack.close())

/** Every salt that the engine received since the last test. */
const salts = () => [...new Set(stack.sim.requests.all('engine').flatMap(({ body }) => saltsIn(body)))]

describe("another tenant's salt", () => {
  it('as LMCache shows it in its keys, sent as cache_salt, finds none of its KV', async () => {
    const words = [user(`Kept by the victim. ${prose(600)}`)]
    await chat(stack.url, words, { headers: key('victim') })
    const [copied = ''] = salts()
    const stored = await ask(stack.sim.coordinatorUrl, '/directory/lookup', {
      body: { token_ids: await idsOf(words), model_name: stack.sim.root, world_size: 1, cache_salt: copied },
    })

    const own = await chat(stack.url, words, { headers: key('thief'), body: { cache_salt: copied } })
    const twice = `{"model":"sim-model","max_tokens":5,"cache_salt":"${copied}","messages":${JSON.stringify(words)},"cache_\\u0073alt":"${copied}"}`
    const escaped = await ask(stack.url, CHAT, { body: twice, headers: key('thief') })

    expect(stored.text).toContain(copied)
    expect(own.cachedTokens).toBe(0)
    expect(escaped).toMatchObject({ status: 400 })
    expect(escaped.text).toContain('`cache_salt` occurs more than once')
    expect(sentBy('thief')).toHaveLength(1)
    expect(sentBy('thief')).not.toContain(copied)
  })

  it('in a new or imported window finds none of its KV either', async () => {
    const words = [user(`Kept by the victim as well. ${prose(600)}`)]
    await chat(stack.url, words, { headers: { ...key('victim'), 'x-cwm-freeze': 'kept' } })
    await settled(stack.url, 'kept', key('victim'))
    const [copied = ''] = salts()

    const made = await ask(stack.url, '/cwm/v1/windows/made', {
      method: 'PUT',
      body: { model: 'sim-model', messages: words, cache_salt: copied },
      headers: key('thief'),
    })
    const file = jsonOf(await ask(stack.url, '/cwm/v1/windows/made/export', { headers: key('thief') }))
    const imported = await ask(stack.url, '/cwm/v1/windows/import?name=imported', { body: file, headers: key('thief') })

    expect([made.status, imported.status]).toEqual([201, 201])
    expect(jsonOf(made)).toMatchObject({ receipt: { cached_tokens: 0 } })
    expect(jsonOf(imported)).toMatchObject({ window: { receipt: { cached_tokens: 0 } } })
    expect(salts().length).toBeGreaterThan(2)
  })
})

describe('an invalid salt', () => {
  it('longer than the engine accepts is rejected, on turns and for windows', async () => {
    const body = { model: 'sim-model', messages: [user('x')], cache_salt: 's'.repeat(129) }

    const turn = await ask(stack.url, CHAT, { body })
    const window = await ask(stack.url, '/cwm/v1/windows/long', { method: 'PUT', body })

    expect([turn, window].map((got) => [got.status, errorOf(got).param])).toEqual([
      [400, 'cache_salt'],
      [400, 'cache_salt'],
    ])
  })
})

describe('a field that bypasses the gateway', () => {
  // SDKs write null for a missing value. After another value of the same name it would hide that value from cwm, but not from the engine.
  it.each([
    '"kv_transfer_params":{"do_remote_prefill":true},"kv_transfer_params":null',
    '"kv_transfer_params":null,"kv_transfer_params":{"do_remote_prefill":true}',
    '"kv_transfer\\u005fparams":{"do_remote_prefill":true},"kv_transfer_params":null',
    '"kv_transfer_params":null,"kv_transfer_params":null',
  ])('is rejected when repeated: %s', async (fields) => {
    const got = await ask(stack.url, CHAT, { body: `{"model":"sim-model","messages":[],${fields}}` })

    expect([got.status, errorOf(got).param]).toEqual([400, 'kv_transfer_params'])
    expect(stack.sim.requests.all('engine').filter(({ path }) => path === CHAT)).toEqual([])
  })

  it('is ignored as a single null', async () => {
    const body = { model: 'sim-model', messages: [user('x')], max_tokens: 2, kv_transfer_params: null }

    expect((await ask(stack.url, CHAT, { body })).status).toBe(200)
  })
})

describe("cwm's answers", () => {
  it('contain no salt, no secret and no lineage, for a tenant or the operator', async () => {
    const owner = key('teller')
    const { session } = await chat(stack.url, [user(prose(500))], { headers: { ...owner, 'x-cwm-freeze': 'told' } })
    await settled(stack.url, 'told', owner)
    await chat(stack.url, [user('?')], { headers: { ...owner, 'x-cwm-window': 'told' } })
    const clone = await ask(stack.url, '/cwm/v1/windows/told/clone', { body: { name: 'again' }, headers: owner })
    const removed = await ask(stack.url, '/cwm/v1/windows/again', { method: 'DELETE', headers: owner })
    const operator = key(operatorKey)
    const tenants = ['windows', 'windows/told', 'windows/told/export', 'sessions', `sessions/${session}`]
    const read = (path: string, headers: Record<string, string>) => ask(stack.url, `/cwm/v1/${path}`, { headers })
    const answers = await Promise.all([
      ...[...tenants, 'deletions', 'tenants/me', 'audit', 'health'].map((path) => read(path, owner)),
      read('audit', operator),
    ])
    const metrics = await ask(stack.url, '/cwm/metrics', { headers: operator })

    const all = [clone, removed, ...answers, metrics]
    const said = all.map(({ text, rawHeaders }) => text + rawHeaders.join('\n')).join('\n')
    expect(all.map((got) => got.status).filter((status) => status >= 300)).toEqual([])
    expect(salts().length).toBeGreaterThan(0)
    expect(salts().filter((salt) => said.includes(salt))).toEqual([])
    expect(said).not.toMatch(/lineage"|cache_salt|clientSalt/)
  })
})

async function idsOf(messages: readonly object[]): Promise<readonly number[]> {
  const got = await ask(stack.sim.engineUrl, '/tokenize', { body: { model: 'sim-model', messages } })
  return jsonOf<{ tokens: number[] }>(got).tokens
}

/** Salts of the requests with this key. */
function sentBy(name: string): string[] {
  return stack.sim.requests
    .all('engine')
    .filter(({ rawHeaders }) => rawHeaders.includes(`Bearer ${name}`))
    .flatMap(({ body }) => saltsIn(body))
}
