// Responses that the engine stores. The engine returns one to anyone with its id; cwm only to the tenant that owns it.

import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ask, ask, errorOf, type Got, jsonOf } from '../support/client.ts'
import { sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Stack, startCwm, startStack } from '../support/stack.ts'

const PATH = '/v1/responses'
const model = 'sim-model'
const alice = { authorization: 'Bearer alice' }
const bob = { authorization: 'Bearer bob' }

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

interface Response {
  readonly id: string
  readonly usage: { readonly input_tokens: number; readonly input_tokens_details: { readonly cached_tokens: number } }
}

const say = (body: object, headers: Ask['headers'] = alice, path = PATH) =>
  ask(stack.url, path, { body: { model, max_output_tokens: 5, ...body }, headers })

async function told(body: object, headers?: Ask['headers'], path?: string): Promise<Response & { session: string }> {
  const got = await say(body, headers, path)
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  return { ...jsonOf<Response>(got), session: String(got.headers['x-cwm-session']) }
}

/** The engine's answer for an unknown id, in cwm's format. */
function expectNotFound(got: Got, id: string): void {
  expect(got.status).toBe(404)
  expect(errorOf(got)).toEqual({
    message: `Response with id '${id}' not found.`,
    type: 'not_found_error',
    param: 'response_id',
    code: 'response_not_found',
  })
}

const salts = () =>
  stack.sim.requests
    .all('engine')
    .filter(({ method, path }) => method === 'POST' && path === PATH)
    .map(({ body }) => (JSON.parse(String(body)) as { cache_salt: string }).cache_salt)

describe('previous_response_id', () => {
  it('continues the session of that response, under its salt', async () => {
    const before = salts().length
    const first = await told({ input: 'Where does the river run, past which mills, to which harbour?' })
    const second = await told({ input: 'And then?', previous_response_id: first.id })
    const third = await told({ input: 'And then?', previous_response_id: second.id })

    expect([second.session, third.session]).toEqual([first.session, first.session])
    expect(new Set(salts().slice(before)).size).toBe(1)
    expect(second.usage.input_tokens).toBeGreaterThan(first.usage.input_tokens)
    expect(third.usage.input_tokens_details.cached_tokens).toBeGreaterThan(0)
  })

  it('is known after a stream, at once and after a restart', async () => {
    const client = new OpenAI({ apiKey: 'alice', baseURL: `${stack.url}/v1`, maxRetries: 0 })
    let id = ''
    for await (const event of await client.responses.create({ model, input: 'Stream this.', stream: true })) {
      if (event.type === 'response.completed') id = event.response.id
    }
    const next = await client.responses.create({ model, input: 'On.', previous_response_id: id }).withResponse()
    await stack.restart()
    const later = await told({ input: 'On.', previous_response_id: next.data.id })

    expect(later.session).toBe(next.response.headers.get('x-cwm-session'))
  })

  it.each([
    ["another tenant's", async () => (await told({ input: 'mine' })).id],
    ['unknown', async () => 'resp_0000'],
    ['no id at all', async () => 'resp/../x'],
  ])('that is %s is not found, and never reaches the engine', async (_, idOf) => {
    const id = await idOf()
    const before = salts().length

    expectNotFound(await say({ input: 'x', previous_response_id: id }, bob), id)
    expect(salts().length).toBe(before)
  })

  it('of a response that was not stored is rejected by the engine', async () => {
    const { id } = await told({ input: 'x', store: false })

    expect((await say({ input: 'y', previous_response_id: id })).status).toBe(404)
  })

  it('may be combined with the name of its session, and with no other', async () => {
    const { id } = await told({ input: 'x' }, { ...alice, 'x-cwm-session': 'named-1' })
    const same = await told({ input: 'y', previous_response_id: id }, { ...alice, 'x-cwm-session': 'named-1' })
    const other = await say({ input: 'y', previous_response_id: id }, { ...alice, 'x-cwm-session': 'named-2' })
    const byPath = await told({ input: 'y', previous_response_id: id }, alice, `/cwm/s/named-1${PATH}`)

    expect([same.session, byPath.session]).toEqual(['named-1', 'named-1'])
    expect([other.status, errorOf(other).code, errorOf(other).param]).toEqual([400, 'invalid_header', 'x-cwm-session'])
  })

  // The engine has the messages, so no other request could continue the turn by its text.
  it('leaves no boundary: the same text elsewhere is another conversation', async () => {
    const { id } = await told({ input: 'A long story.' })
    const got = await say({ input: 'yes', previous_response_id: id })
    const { output } = jsonOf<{ output: readonly object[] }>(got)
    const stranger = await told({
      input: [{ role: 'user', content: 'yes' }, ...output, { role: 'user', content: 'no' }],
    })

    expect(stranger.session).not.toBe(got.headers['x-cwm-session'])
  })

  it('cannot be combined with a freeze or a window, and nothing is dispatched', async () => {
    const { id, session } = await told({ input: 'x' })
    const before = salts().length
    const freeze = await say({ input: 'y', previous_response_id: id }, { ...alice, 'x-cwm-freeze': 'w-1' })
    const window = await say({ input: 'y', previous_response_id: id }, { ...alice, 'x-cwm-window': 'w-1' })

    expect([freeze.status, errorOf(freeze).code, errorOf(freeze).param]).toEqual([400, 'not_supported', 'x-cwm-freeze'])
    expect([window.status, errorOf(window).code, errorOf(window).param]).toEqual([400, 'not_supported', 'x-cwm-window'])
    expect(salts().length).toBe(before)
    expect((await told({ input: 'y', previous_response_id: id })).session).toBe(session)
  })

  it.each(['memory', 'disk'] as const)(
    'leaves no last turn for a freeze by REST, not even an earlier one (%s)',
    async (retain) => {
      await stack.restart({ retain })
      const { id, session } = await told({ input: 'first' })
      const freeze = (name: string) =>
        ask(stack.url, '/cwm/v1/windows', { body: { name, session_id: session }, headers: alice })
      await told({ input: 'second', previous_response_id: id })
      const refused = await freeze(`stale-${retain}`)

      expect([refused.status, errorOf(refused).code]).toEqual([409, 'session_empty'])
    },
  )

  it('is rejected in a session that continues a window', async () => {
    const frozen = await say({ input: 'The contract.' }, { ...alice, 'x-cwm-freeze': 'contract' })
    expect(frozen.status).toBe(200)
    await ask(stack.url, '/cwm/v1/windows/contract?wait_ms=5000', { headers: alice })
    const behind = await told({ input: 'What of it?' }, { ...alice, 'x-cwm-window': 'contract' })
    const got = await say({ input: 'And?', previous_response_id: behind.id })

    expect([got.status, errorOf(got).code, errorOf(got).param]).toEqual([400, 'not_supported', 'previous_response_id'])
  })
})

describe('a stored response', () => {
  const get = (id: string, headers: Record<string, string>, query = '') =>
    ask(stack.url, `${PATH}/${id}${query}`, { headers })
  const cancel = (id: string, headers: Record<string, string>) =>
    ask(stack.url, `${PATH}/${id}/cancel`, { method: 'POST', headers })

  it("can be read and canceled by its tenant, with the engine's answers", async () => {
    const { id, session } = await told({ input: 'x' })
    const read = await get(id, alice)
    const streamed = await get(id, alice, '?stream=true')
    const cancelled = await cancel(id, alice)

    expect([read.status, jsonOf(read).id, read.headers['x-cwm-session']]).toEqual([200, id, session])
    expect([streamed.status, streamed.headers['content-type'], streamed.clean]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      true,
    ])
    expect([cancelled.status, errorOf(cancelled).message]).toEqual([400, 'Cannot cancel a synchronous response.'])
  })

  it('belongs to nobody else, whether it exists or not', async () => {
    const { id } = await told({ input: 'x' })
    const engineSaw = () => stack.sim.requests.all().filter(({ path }) => path.startsWith(`${PATH}/`)).length
    const before = engineSaw()

    for (const headers of [bob, {}]) {
      expectNotFound(await get(id, headers), id)
      expectNotFound(await get(id, headers, '?stream=true'), id)
      expectNotFound(await cancel(id, headers), id)
    }
    expectNotFound(await get('resp_unknown', alice), 'resp_unknown')
    expect(engineSaw()).toBe(before)
  })

  it('is removed with its session', async () => {
    const { id, session } = await told({ input: 'x' })
    const ended = await ask(stack.url, `/cwm/v1/sessions/${session}`, { method: 'DELETE', headers: alice })

    expect(ended.status).toBeLessThan(300)
    expectNotFound(await get(id, alice), id)
    expectNotFound(await say({ input: 'y', previous_response_id: id }), id)
  })

  it('expires after the configured time', async () => {
    await stack.restart({ response_ttl_ms: 1 })
    const { id } = await told({ input: 'x' })
    await expect.poll(async () => (await get(id, alice)).status).toBe(404)
    await stack.restart({ response_ttl_ms: 60_000 })

    expectNotFound(await say({ input: 'y', previous_response_id: id }), id)
  })
})

// With `request_id` allowed, a client chooses the id of its response, possibly another tenant's.
describe('an id chosen by the client', () => {
  it('leads nowhere', async () => {
    const answer = { id: 'resp_alice', object: 'response', status: 'completed', output: [], usage: null }
    const upstream = await startFakeUpstream((_, response) => sayJson(response, JSON.stringify(answer)))
    const cwm = await startCwm(upstream.url, { allowed_fields: ['request_id'] })
    const tell = (body: object, headers: Record<string, string>) =>
      ask(cwm.url, PATH, { body: { model: 'm', input: 'x', ...body }, headers })
    const get = (headers: Record<string, string>) => ask(cwm.url, `${PATH}/resp_alice`, { headers })
    await tell({}, alice)
    const chosen = await tell({ request_id: 'resp_alice' }, bob)
    const read = [await get(alice), await get(bob)]
    const continued = await tell({ previous_response_id: 'resp_alice' }, bob)
    await cwm.close()
    await upstream.close()

    expect(chosen.status).toBe(200)
    expect(read.map(({ status }) => status)).toEqual([200, 404])
    expectNotFound(continued, 'resp_alice')
  })
})
